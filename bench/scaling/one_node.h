// OneNode: what a large fleet costs the replication loop of one of its nodes: the production
// Replicator on simulated time, with peers that answer at once and a metadata store in memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scaling/fleet.h"

namespace forebay::scaling {

// The loop's work in one phase.
struct LoopLoad {
  std::string phase;
  double simulated_seconds = 0;
  double busy_seconds = 0;  // of this machine's time
  double longest_task_seconds = 0;
};

struct OneNodeResult {
  uint64_t partitions = 0, nodes = 0, owned = 0;
  double memory_bytes_per_partition = 0;  // that this node only knows of
  std::vector<LoopLoad> phases;
};

OneNodeResult MeasureOneNode(const FleetOptions& options);

}  // namespace forebay::scaling
