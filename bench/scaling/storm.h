// Storm: the first seconds after a zone is lost, as the metadata store sees them: takeovers of what
// the zone owned, and new segments for all that it held copies of. Simulated time; who takes over
// when is Fleet::Line and the constants of the nodes.
#pragma once

#include <cstdint>
#include <vector>

#include "scaling/fleet.h"
#include "scaling/spread.h"

namespace forebay::scaling {

// Seconds. Defaults are those of the code, but for what a network and a store take.
struct StormOptions {
  double swaps_per_second = 5000;   // that the metadata store can do
  double reads_per_second = 20000;  // the same
  double suspect_after = 1.0;       // LivenessOptions
  double heartbeat_every = 0.1;
  double survey_every = 0.2;   // a node looks at its partitions (replicator.cc)
  double call_timeout = 2.0;   // EtcdOptions::timeout
  double retry_after = 0.05;   // of a call with no answer (node_state.cc)
  double fence = 0.004;        // fence answers of a seal quorum: one round trip and one fsync
  double give_up_after = 300;  // the simulation, not the nodes
  double news = 0.005;         // until every node has heard of a swap
  bool rolls = true;           // false: only takeovers, as if there was nothing else to do
  uint64_t seed = 1;
};

struct StormResult {
  uint64_t takeovers = 0, rolls = 0;
  uint64_t swaps = 0;         // sent
  uint64_t swaps_wasted = 0;  // of them: came too late, or were sent again
  uint64_t reads = 0;
  uint64_t by_second_in_line = 0;  // takeovers that another than the first in line won
  // Seconds after the loss until the new owner serves.
  double takeover_median = 0, takeover_99 = 0, takeover_last = 0;
  double within_two_seconds = 0;  // share of takeovers
  double last_roll = 0;
  double longest_queue = 0;  // seconds that a call waited in the store
  Spread by_node;            // takeovers of each live node
};

// The fleet as after the loss, before anything is done about it.
StormResult RunStorm(const Fleet& fleet, const StormOptions& options);

}  // namespace forebay::scaling
