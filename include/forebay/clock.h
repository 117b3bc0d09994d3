// Where Forebay gets the time.
#pragma once

#include "absl/time/time.h"

namespace forebay {

// Thread-safe. Now() never goes back while the process lives: it starts at the wall clock's time
// and moves with the steady clock.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
};

}  // namespace forebay
