// Which nodes hold a partition's segments, and who takes over first. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "records/records.h"

namespace forebay {

// The rendezvous order of nodes for one partition (highest random weight, Thaler and Ravishankar
// 1998): every node computes the same order, and it changes little when nodes come and go.
class Rendezvous {
 public:
  explicit Rendezvous(const PartitionId& partition);
  // Costs a hash of the id: for comparing many nodes, keep it.
  uint64_t Weight(const NodeId& node) const;

 private:
  uint64_t partition_;
};
std::vector<NodeRecord> RendezvousOrder(const PartitionId& partition,
                                        std::vector<NodeRecord> nodes);

// Who own partitions that never had an owner: partition i of a stream goes to the i-th node of
// this list, zone by zone, so that the partitions of a stream are spread evenly. Of nodes that are
// there.
std::vector<NodeId> FirstOwners(absl::Span<const NodeRecord> nodes);
// Its place in that list, which is not empty.
const NodeId& FirstOwner(const PartitionId& partition, const std::vector<NodeId>& owners);

// Adds nodes until there are `copies`: those of zones that are not there yet, then others; the
// preferred ones first, then in rendezvous order.
struct Candidate {
  const NodeRecord* node;
  bool preferred = false;
};
void FillUp(const PartitionId& partition, int copies, const std::vector<Candidate>& candidates,
            std::vector<Replica>& placed);

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

// Who takes over a partition whose owner is gone. The first in line goes at once, each further one
// kTakeoverStep later, unless the owner is another one by then. One that never had an owner may be
// one of many that its first owner has to create: there it is kCreateStep.
inline constexpr absl::Duration kTakeoverStep = absl::Milliseconds(400);
inline constexpr absl::Duration kCreateStep = absl::Seconds(10);
struct TakeoverLine {  // refers to what it is made of
  const PartitionId& partition;
  absl::Span<const Replica> heirs;  // of the open segment; before there is one, the first owner
  absl::Span<const NodeRecord> live;
  absl::FunctionRef<bool(const NodeRecord&)> leaves;
};
// How many of `live` stand before it, counted up to `count_max`. Heirs come first, with the store
// that the segment names, in rendezvous order, then the others. Those without room come after those
// with, as they can only deliver; a node that leaves is the last resort, but for a slow disk.
size_t CountBefore(const TakeoverLine& line, const NodeRecord& self, size_t count_max);

}  // namespace forebay
