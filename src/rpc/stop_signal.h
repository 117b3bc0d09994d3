// StopSignal: tells every open stream that the server is stopping.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "runtime/mutex.h"

namespace forebay {

// Thread-safe.
class StopSignal {
 public:
  using Listener = std::function<void()>;

  // Called at Raise, or at once if that was before. May be called although it was removed just
  // then, so it holds weak pointers only.
  uint64_t Add(Listener listener) {
    {
      MutexLock lock(mutex_);
      if (!raised_) {
        listeners_.emplace(++last_id_, std::move(listener));
        return last_id_;
      }
    }
    listener();
    return 0;
  }
  void Remove(uint64_t id) {
    MutexLock lock(mutex_);
    listeners_.erase(id);
  }
  void Raise() {
    std::map<uint64_t, Listener> listeners;
    {
      MutexLock lock(mutex_);
      raised_ = true;
      listeners.swap(listeners_);
    }
    for (const auto& [id, listener] : listeners) listener();
  }

 private:
  Mutex mutex_;
  bool raised_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, Listener> listeners_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace forebay
