// Is it safe to take nodes down now, and if not, why? And what is left on nodes that leave? Pure
// functions over a cluster's status.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "replication/core/cluster_status.h"

namespace forebay {

// One thing that speaks against it.
struct Obstacle {
  enum class Kind {
    kSilentNode,     // a node that would have to carry on does not answer
    kUnknownState,   // the partition's owner does not answer, or does not say enough
    kTooFewNodes,    // the others cannot hold a segment as the stream asks: appends would stop
    kAckQuorum,      // too few in-sync replicas of the open segment would be left to acknowledge
    kSealQuorum,     // the others could not find out what was acknowledged: no takeover
    kNoHandOver,     // nobody is there to own it
    kSealedSegment,  // a sealed segment would be left on fewer copies than an acknowledgement takes
  };
  Kind kind;
  std::optional<PartitionId> partition;  // nothing: about a node
  std::string why;                       // for people; names nodes, zones and epochs
};
const char* NameOf(Obstacle::Kind kind);

// Empty: safe. `alive` of a node must mean that it answers. Safe means: with `down` gone, every
// partition can be owned, acknowledges as its stream asks, could be taken over, and every event not
// yet delivered stays on an ack quorum of nodes that answer. What the metadata store and the sinks
// need is not judged.
std::vector<Obstacle> JudgeTakeDown(absl::Span<const NodeStatus> nodes,
                                    absl::Span<const PartitionStatus> partitions,
                                    const std::set<NodeId>& down);

// What nodes that leave still have.
struct Remains {
  int owned = 0;            // partitions
  int open_segments = 0;    // that name one of them as a replica
  int sealed_segments = 0;  // the same
  int unknown = 0;          // partitions whose owner does not answer
  bool nothing() const { return owned + open_segments + sealed_segments + unknown == 0; }
};
Remains RemainsOf(absl::Span<const PartitionStatus> partitions, const std::set<NodeId>& nodes);

}  // namespace forebay
