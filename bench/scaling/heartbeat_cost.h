// What heartbeats cost: production monitors and transports of a number of nodes in this process.
#pragma once

#include <cstddef>

#include "absl/status/statusor.h"

namespace forebay::scaling {

struct HeartbeatCost {
  size_t nodes = 0;
  double per_second = 0;             // that arrive, of all nodes
  double cpu_us = 0;                 // of sender and receiver together, for each
  double bytes = 0;                  // on the wire, both ways, with TCP and IP headers
  double memory_per_connection = 0;  // bytes, both ends
};

// Each node says to each other that it is there, ten times a second.
absl::StatusOr<HeartbeatCost> MeasureHeartbeats(size_t nodes);

}  // namespace forebay::scaling
