// CallsInFlight: the outgoing calls that have not ended, so that they can be cancelled and waited
// for. Inside rpc only.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "runtime/mutex.h"

namespace forebay {

// Thread-safe.
class CallsInFlight {
 public:
  // `cancel` may be called until Remove, and just after it.
  uint64_t Add(std::function<void()> cancel) {
    bool cancel_now = false;
    uint64_t id = 0;
    {
      MutexLock lock(mutex_);
      id = ++last_id_;
      cancel_now = closed_;
      calls_.emplace(id, cancel);
    }
    if (cancel_now) cancel();
    return id;
  }
  // The call has ended and uses nothing any more.
  void Remove(uint64_t id) {
    MutexLock lock(mutex_);
    calls_.erase(id);
    if (calls_.empty()) changed_.SignalAll();
  }
  void CancelAndWait() {
    std::map<uint64_t, std::function<void()>> calls;
    {
      MutexLock lock(mutex_);
      closed_ = true;
      calls = calls_;
    }
    for (const auto& [id, cancel] : calls) cancel();
    Wait();
  }
  // Until every call has ended.
  void Wait() {
    MutexLock lock(mutex_);
    while (!calls_.empty()) changed_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::function<void()>> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace forebay
