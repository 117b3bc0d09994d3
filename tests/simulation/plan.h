// What a seed makes of the world. Each seed draws its own mix of faults, so that some worlds see
// much of one kind and none of another (swarm testing, Groce et al., ISSTA 2012).
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "forebay/options.h"
#include "metadata/memory_metadata_store.h"
#include "simulation/fault.h"
#include "simulation/sim_network.h"
#include "simulation/sim_sink.h"

namespace forebay {

struct Plan {
  int zones = 3;
  int nodes_per_zone = 1;
  int late_nodes = 0;  // not there at the start
  int producers = 2;
  // Repeats what was acknowledged, now or long ago, to anybody; and other events under the same
  // sequences. On average; never: infinite.
  absl::Duration stray_every = absl::InfiniteDuration();
  int sinks = 1;
  StreamOptions stream;
  SegmentOptions segment;
  LivenessOptions liveness;
  size_t block_bytes_max = 1024;
  absl::Duration faults_for;                                // then everything is healed
  absl::Duration append_every;                              // on average, for each producer
  absl::Duration give_up_after = absl::InfiniteDuration();  // of the producers
  double pause = 0;                    // chance of a pause of some seconds before an event
  bool previous_version = false;       // of all nodes, until a rolling upgrade
  absl::Duration keep_after_delivery;  // of the sinks
  absl::Duration sync_min, sync_max;
  LinkFaults link;         // of every link
  LinkFaults client_link;  // of every link to a client
  MemoryMetadataFaults metadata;
  SinkFaults sink;
  // The mix: how often each fault comes, on average. Absent: never.
  std::map<Fault, absl::Duration> mix;
  FaultScript script;  // drawn from the mix

  std::string ToString() const;
};

Plan DrawPlan(uint64_t seed);
// The same world with another script: its noise is what the script says.
void Replace(Plan& plan, FaultScript script);
// One partition, two producers that append steadily, no faults: for single scenarios.
Plan CalmPlan();

}  // namespace forebay
