// Where work runs: one task at a time, in order.
#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace forebay {

using Task = absl::AnyInvocable<void()>;

// Tasks of one Executor never run concurrently. Post and PostAfter are thread-safe and never run
// the task inline. A class that says "confined to an executor" is used from its tasks only.
class Executor {
 public:
  virtual ~Executor() = default;
  // Tasks posted from one thread run in the order of posting.
  virtual void Post(Task task) = 0;
  // Runs the task after at least `delay` of the executor's clock. There is no cancel: a task that
  // may have become pointless checks for that itself.
  virtual void PostAfter(absl::Duration delay, Task task) = 0;
};

}  // namespace forebay
