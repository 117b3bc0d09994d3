// The faults of a simulated world, and scripts of them: what happens, when, to what. A script is
// text too, so that a failing one can be shortened and replayed.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace forebay {

enum class Fault {
  kKill,            // one process, or its power
  kFreeze,          // one process, and it comes back
  kPowerCut,        // all processes at once
  kPowerCutSome,    // several of them at once
  kZoneDown,        // all processes of a zone, for longer
  kWipe,            // a disk, when every copy is there
  kReplace,         // a node is gone for long, and comes back with an empty disk
  kEvacuate,        // a node hands everything over, is emptied by the others, and goes
  kAddNode,         // one that was not there at the start
  kTornLog,         // a restart finds damage: ends of segments are gone, the rest stays
  kLostSyncs,       // a disk lies about syncs; after the next crash it is as it was before
  kDamage,          // a bit flips in a stored block or snapshot: it can no longer be read
  kMisdirect,       // a write lands on another: neither can be read
  kFailSync,        // a sync fails, and the store with it, until the process starts anew
  kDiskFull,        // every write fails, also after a restart, until there is space again
  kSlowDisk,        // syncs take up to seconds
  kStallDisk,       // syncs hang
  kStop,            // one process, by SIGTERM
  kRollingRestart,  // all processes, one after the other, with other settings
  kRollingUpgrade,  // the same, from the version before to this one
  kClockJump,       // a node's clock leaps ahead, and is another one after its next start
  kIsolate,         // one node, from all others, in one direction or both
  kCutLink,         // one direction of one link
  kFlap,            // a link comes and goes
  kClientCut,       // a client from one node
  kClientCrash,     // a client forgets what it waited for
  kMetadataNode,    // one node cannot reach the metadata store
  kMetadataAll,     // nobody can
  kMetadataSlow,    // it answers late, or after the caller gave up
  kSinkDown,
  kSinkTimeout,  // every commit takes effect, and its answer is lost
  kTakeOver,     // somebody wants to take over for no good reason
  kHandOver,
  kRace,  // a takeover behind the owner's back, while the node between them starts anew
  kLie,   // a block is stored whose body nobody can decode, until an operator sets it aside
  kCount
};
const char* NameOf(Fault fault);

// What the protocol is doing, as far as it can be seen from outside the nodes.
enum class ProtocolState {
  kAppending,  // blocks are on their way from an owner to its replicas
  kRolling,    // an owner's swap to a new segment is under way
  kFencing,    // a takeover asks replicas to refuse the old owner
  kCopying,    // a takeover copies what an ack quorum does not hold yet
  kSwapping,   // a takeover's swap is under way
  kRepair,     // copies of sealed segments are made, or their lists corrected
  kHandOver,   // an owner asks another node to take over
  kDraining,   // a sink receives a batch
  kCount
};
const char* NameOf(ProtocolState state);

struct FaultEvent {
  absl::Duration at;  // after the start of the faults
  Fault fault = Fault::kCount;
  // Waits, from `at` on, until some node is in this state, and prefers such a node.
  std::optional<ProtocolState> when;
  uint64_t dice = 0;  // decides the rest: which node, for how long
};

// What goes on all the time, besides the faults.
enum class Noise { kLinks, kClientLinks, kMetadata, kSinks, kCount };
const char* NameOf(Noise noise);

struct FaultScript {
  std::set<Noise> noise;
  std::vector<FaultEvent> events;  // in order of time

  // "noise=links,sinks;12.345:kill@copying#4711;..."
  std::string ToString() const;
  // INVALID_ARGUMENT, naming the part that is wrong.
  static absl::StatusOr<FaultScript> Parse(const std::string& text);
};

}  // namespace forebay
