#include "replication/core/quorum.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace forebay {

int ZoneCount(absl::Span<const Replica> replicas, ReplicaMask set) {
  int zones = 0;
  for (size_t i = 0; i < replicas.size(); i++) {
    if (!(set >> i & 1)) continue;
    bool seen = false;
    for (size_t j = 0; j < i && !seen; j++) {
      seen = (set >> j & 1) && replicas[j].zone == replicas[i].zone;
    }
    if (!seen) zones++;
  }
  return zones;
}

ReplicaMask AllOf(absl::Span<const Replica> replicas) {
  FOREBAY_CHECK(replicas.size() < 32, "a segment has at most 31 replicas");
  return (ReplicaMask{1} << replicas.size()) - 1;
}

int IndexOf(absl::Span<const Replica> replicas, const NodeId& node) {
  for (size_t i = 0; i < replicas.size(); i++) {
    if (replicas[i].node == node) return static_cast<int>(i);
  }
  return -1;
}

bool IsAckQuorum(const QuorumRule& rule, absl::Span<const Replica> replicas, ReplicaMask set) {
  set &= AllOf(replicas);
  return std::popcount(set) >= rule.ack_copies && ZoneCount(replicas, set) >= rule.ack_zones;
}

bool IsSealQuorum(const QuorumRule& rule, absl::Span<const Replica> replicas, ReplicaMask set) {
  set &= AllOf(replicas);
  return set != 0 && !IsAckQuorum(rule, replicas, AllOf(replicas) & ~set);
}

std::optional<Offset> HighestAckedOffset(const QuorumRule& rule, absl::Span<const Replica> replicas,
                                         absl::Span<const Offset> tails) {
  FOREBAY_CHECK(replicas.size() == tails.size(), "one tail per replica");
  std::optional<Offset> highest;
  for (const Offset candidate : tails) {
    if (highest.has_value() && candidate <= *highest) continue;
    ReplicaMask reached = 0;
    for (size_t i = 0; i < tails.size(); i++) {
      if (tails[i] >= candidate) reached |= ReplicaMask{1} << i;
    }
    if (IsAckQuorum(rule, replicas, reached)) highest = candidate;
  }
  return highest;
}

}  // namespace forebay
