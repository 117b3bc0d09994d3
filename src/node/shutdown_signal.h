// SIGTERM and SIGINT, waited for on the main thread.
#pragma once

#include "absl/time/time.h"

namespace forebay {

// Make one before any other thread starts: they inherit that the signals wait for this object.
class ShutdownSignal {
 public:
  ShutdownSignal();
  // True when one came within the limit.
  bool WaitFor(absl::Duration limit);
};

}  // namespace forebay
