#include "runtime/real_clock.h"

#include "absl/time/clock.h"

namespace forebay {

RealClock::RealClock()
    : wall_at_start_(absl::Now()), steady_at_start_(std::chrono::steady_clock::now()) {}

absl::Time RealClock::Now() const {
  return wall_at_start_ + absl::FromChrono(std::chrono::steady_clock::now() - steady_at_start_);
}

}  // namespace forebay
