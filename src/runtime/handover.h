// Handover: one value, from a callback to a thread that waits for it.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "forebay/clock.h"
#include "runtime/mutex.h"

namespace forebay {

// Thread-safe. Held by both sides in a shared_ptr, because either may be done first.
template <typename T>
class Handover {
 public:
  static std::shared_ptr<Handover> Make() { return std::make_shared<Handover>(); }

  // Once.
  void Give(T value) {
    MutexLock lock(mutex_);
    value_ = std::move(value);
    changed_.SignalAll();
  }
  T Take() {
    MutexLock lock(mutex_);
    while (!value_.has_value()) changed_.Wait(mutex_);
    return *std::move(value_);
  }
  // Nothing when it did not come in time.
  std::optional<T> TakeWithin(const Clock& clock, absl::Duration limit) {
    const absl::Time end = clock.Now() + limit;
    MutexLock lock(mutex_);
    for (absl::Duration left = limit; !value_.has_value(); left = end - clock.Now()) {
      if (left <= absl::ZeroDuration()) return std::nullopt;
      changed_.WaitFor(mutex_, left);
    }
    return std::move(value_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::optional<T> value_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace forebay
