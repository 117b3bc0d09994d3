#include "runtime/pause.h"

#include "runtime/mutex.h"
#include "runtime/real_clock.h"

namespace forebay {

void Pause(absl::Duration duration) {
  const RealClock clock;
  const absl::Time until = clock.Now() + duration;
  Mutex mutex;
  CondVar never;
  MutexLock lock(mutex);
  for (absl::Time now = clock.Now(); now < until; now = clock.Now()) {
    never.WaitFor(mutex, until - now);
  }
}

}  // namespace forebay
