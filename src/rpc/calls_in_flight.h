// CallsInFlight: the outgoing calls that gRPC is not done with, so that they can be cancelled and
// waited for.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "runtime/mutex.h"

namespace forebay {

// Thread-safe. A call counts until its context is gone: contexts hold their channel, and gRPC 1.51
// crashes when the last channel of a process is destroyed on one of its own threads, which then
// joins itself. Wait before letting go of the channels.
class CallsInFlight {
 public:
  // `call` counts until the last reference to it is gone. Call::End cancels it.
  template <typename Call>
  static std::shared_ptr<Call> Track(const std::shared_ptr<CallsInFlight>& calls, Call* call) {
    const uint64_t id = calls->Begin();
    std::shared_ptr<Call> tracked(call, [calls, id](Call* ended) {
      delete ended;
      calls->Remove(id);
    });
    calls->Register(id, [weak = std::weak_ptr<Call>(tracked)] {
      if (const auto alive = weak.lock()) alive->End();
    });
    return tracked;
  }
  void CancelAndWait() {
    std::map<uint64_t, std::function<void()>> calls;
    {
      MutexLock lock(mutex_);
      closed_ = true;
      calls = calls_;
    }
    for (const auto& [id, cancel] : calls) {
      if (cancel != nullptr) cancel();
    }
    Wait();
  }
  // Until every call is gone.
  void Wait() {
    MutexLock lock(mutex_);
    while (!calls_.empty()) changed_.Wait(mutex_);
  }
  bool empty() {
    MutexLock lock(mutex_);
    return calls_.empty();
  }

 private:
  uint64_t Begin() {
    MutexLock lock(mutex_);
    calls_.emplace(++last_id_, nullptr);
    return last_id_;
  }
  void Register(uint64_t id, std::function<void()> cancel) {
    {
      MutexLock lock(mutex_);
      if (!closed_) {
        calls_[id] = std::move(cancel);
        return;
      }
    }
    cancel();
  }
  void Remove(uint64_t id) {
    MutexLock lock(mutex_);
    calls_.erase(id);
    if (calls_.empty()) changed_.SignalAll();
  }

  Mutex mutex_;
  CondVar changed_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::function<void()>> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace forebay
