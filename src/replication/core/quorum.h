// When is an event safe? The one predicate behind acknowledgements, sealing, repair, placement and
// readiness (docs/ARCHITECTURE.md, "Quorums"). Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "forebay/ids.h"
#include "records/records.h"

namespace forebay {

// A set of replicas: bit i stands for replicas[i]. A segment has at most 32.
using ReplicaMask = uint32_t;

// `set` holds at least ack_copies nodes in at least ack_zones zones.
bool IsAckQuorum(const QuorumRule& rule, absl::Span<const Replica> replicas, ReplicaMask set);

// Nobody can have been acknowledged without a member of `set` knowing: the rest is no ack quorum.
// The empty set never seals.
bool IsSealQuorum(const QuorumRule& rule, absl::Span<const Replica> replicas, ReplicaMask set);

// The largest offset that the tails of an ack quorum have reached; nothing if no set of replicas is
// an ack quorum. tails[i] belongs to replicas[i].
std::optional<Offset> HighestAckedOffset(const QuorumRule& rule, absl::Span<const Replica> replicas,
                                         absl::Span<const Offset> tails);

// Distinct zones in a set.
int ZoneCount(absl::Span<const Replica> replicas, ReplicaMask set);
// Every replica.
ReplicaMask AllOf(absl::Span<const Replica> replicas);
// Where a node stands in the list, -1 if it does not.
int IndexOf(absl::Span<const Replica> replicas, const NodeId& node);

}  // namespace forebay
