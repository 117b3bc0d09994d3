// What a seed makes of the world. Each seed draws its own mix of faults, so that some worlds see
// much of one kind and none of another (swarm testing, Groce et al., ISSTA 2012).
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "forebay/options.h"
#include "metadata/memory_metadata_store.h"
#include "simulation/sim_network.h"
#include "simulation/sim_sink.h"

namespace forebay {

enum class Fault {
  kKill,          // one process
  kFreeze,        // one process, and it comes back
  kPowerCut,      // all processes at once
  kZoneDown,      // all processes of a zone, for longer
  kWipe,          // a disk, when every copy is there
  kTornLog,       // a restart finds damage: ends of segments are gone, the rest stays
  kDamage,        // a stored block can no longer be read
  kFailSync,      // a sync fails, and the store with it, until the process starts anew
  kStop,          // one process, by SIGTERM
  kIsolate,       // one node, from all others, in one direction or both
  kCutLink,       // one direction of one link
  kFlap,          // a link comes and goes
  kClientCut,     // a client from one node
  kClientCrash,   // a client forgets what it waited for
  kMetadataNode,  // one node cannot reach the metadata store
  kMetadataAll,   // nobody can
  kStallDisk,     // syncs hang
  kSinkDown,
  kTakeOver,  // somebody wants to take over for no good reason
  kHandOver,
  kRace,  // a takeover behind the owner's back, while the node between them starts anew
  kCount
};
const char* NameOf(Fault fault);

struct Plan {
  int zones = 3;
  int nodes_per_zone = 1;
  int producers = 2;
  int sinks = 1;
  StreamOptions stream;
  SegmentOptions segment;
  LivenessOptions liveness;
  size_t block_bytes_max = 1024;
  absl::Duration faults_for;                                // then everything is healed
  absl::Duration append_every;                              // on average, for each producer
  absl::Duration give_up_after = absl::InfiniteDuration();  // of the producers
  double pause = 0;                    // chance of a pause of some seconds before an event
  absl::Duration keep_after_delivery;  // of the sinks
  absl::Duration sync_min, sync_max;
  LinkFaults link;         // of every link
  LinkFaults client_link;  // of every link to a client
  MemoryMetadataFaults metadata;
  SinkFaults sink;
  // How often each fault comes, on average. Absent: never.
  std::map<Fault, absl::Duration> faults;

  std::string ToString() const;
};

Plan DrawPlan(uint64_t seed);
// One partition, two producers that append steadily, no faults: for single scenarios.
Plan CalmPlan();

}  // namespace forebay
