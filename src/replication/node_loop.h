// NodeLoop: the loop that a node's replication runs on. No task runs once the node has stopped or
// is gone.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "forebay/clock.h"
#include "runtime/executor.h"

namespace forebay {

// Post, PostAfter, PostRead and what Bring returns may be called from any thread while the owner
// lives.
class NodeLoop {
 public:
  NodeLoop(Clock& clock, Executor& loop, Executor& reads)
      : clock_(clock), loop_(loop), reads_(reads) {}

  // The object whose parts the tasks use. To be called before the first task is posted.
  void SetOwner(std::weak_ptr<void> owner) { owner_ = std::move(owner); }

  absl::Time Now() const { return clock_.Now(); }
  void Post(Task task) { loop_.Post(Guarded(std::move(task))); }
  void PostAfter(absl::Duration delay, Task task) {
    loop_.PostAfter(delay, Guarded(std::move(task)));
  }
  // For blocking reads of the store. The owner stays while the task runs.
  void PostRead(Task task) { reads_.Post(Guarded(std::move(task))); }

  // A callback for another thread, to be called once: `callback` runs on the loop with its result.
  template <typename Result, typename Callback>
  absl::AnyInvocable<void(Result)> Bring(Callback callback) {
    return [this, owner = owner_, callback = std::move(callback)](Result result) mutable {
      if (owner.lock() == nullptr) return;
      Post([callback = std::move(callback), result = std::move(result)]() mutable {
        callback(std::move(result));
      });
    };
  }

  void Stop() { stopped_ = true; }
  bool stopped() const { return stopped_; }

 private:
  Task Guarded(Task task) {
    return [this, owner = owner_, task = std::move(task)]() mutable {
      const auto alive = owner.lock();
      if (alive != nullptr && !stopped_) task();
    };
  }

  Clock& clock_;
  Executor& loop_;
  Executor& reads_;
  std::weak_ptr<void> owner_;
  std::atomic<bool> stopped_ = false;  // also read by reads under way
};

}  // namespace forebay
