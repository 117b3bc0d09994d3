// The machine's clock.
#pragma once

#include <chrono>

#include "forebay/clock.h"

namespace forebay {

class RealClock final : public Clock {
 public:
  RealClock();
  absl::Time Now() const override;

 private:
  const absl::Time wall_at_start_;
  const std::chrono::steady_clock::time_point steady_at_start_;
};

}  // namespace forebay
