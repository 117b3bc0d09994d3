#include "runtime/lock_order.h"

#include "absl/synchronization/mutex.h"

namespace forebay {

void LeaveLockOrderUnchecked() {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

}  // namespace forebay
