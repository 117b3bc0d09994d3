// Which nodes hold a partition's segments, and who takes over first. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "metadata/records.h"

namespace forebay {

// Nodes in rendezvous order for the partition (highest random weight, Thaler and Ravishankar 1998):
// every node computes the same order, and it changes little when nodes come and go.
std::vector<NodeRecord> RendezvousOrder(const PartitionId& partition,
                                        std::vector<NodeRecord> nodes);

// Who owns a partition that never had an owner: partition i of a stream goes to the i-th node, zone
// by zone, so that the partitions of a stream are spread evenly. Among nodes that are there.
NodeId FirstOwner(const PartitionId& partition, std::vector<NodeRecord> nodes);

// At most `copies` replicas among `candidates`, `first` always among them, as many zones as there
// are, then in rendezvous order.
std::vector<Replica> Place(const PartitionId& partition, int copies, const NodeRecord& first,
                           absl::Span<const NodeRecord> candidates);

// The rule for a segment on these replicas: the stream's, or with fewer copies and zones when the
// stream accepts that; nothing when these replicas may not acknowledge.
std::optional<QuorumRule> RuleFor(const StreamOptions& stream, absl::Span<const Replica> replicas);

// Where a segment goes that `owner` opens, and its rule: on nodes whose disks have room if those
// may acknowledge, else on any of `live`; nothing when those may not either. Nodes that leave are
// used only where the others are too few to acknowledge as asked.
struct Placement {
  std::vector<Replica> replicas;
  QuorumRule rule;
};
std::optional<Placement> PlaceSegment(const PartitionId& partition, const StreamOptions& stream,
                                      const NodeRecord& owner, absl::Span<const NodeRecord> live,
                                      absl::FunctionRef<bool(const NodeRecord&)> leaves);

// It can own as long as it lives: its disk has room, and is quick.
bool IsFitToOwn(const NodeRecord& node);

}  // namespace forebay
