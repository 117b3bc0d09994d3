// Ports on the loopback interface that nobody uses.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "runtime/random.h"

namespace forebay {

// Different from all those before from the same object. They lie below the range from which the
// system takes ports for outgoing connections, so that a restarted node finds its port free again.
class LocalPorts {
 public:
  LocalPorts();
  absl::StatusOr<uint16_t> Take();

 private:
  Random random_;
  uint16_t next_;
};

}  // namespace forebay
