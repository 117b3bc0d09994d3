#include "replication/placement.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/checksum.h"
#include "replication/quorum.h"

namespace forebay {
namespace {

// Finalizer of splitmix64: spreads the CRC over 64 bits.
uint64_t Weight(const PartitionId& partition, const NodeId& node) {
  uint64_t z = (uint64_t{Crc32c(node.value())} << 32) | Crc32c(partition.ToString());
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

}  // namespace

std::vector<NodeRecord> RendezvousOrder(const PartitionId& partition,
                                        std::vector<NodeRecord> nodes) {
  std::sort(nodes.begin(), nodes.end(), [&](const NodeRecord& a, const NodeRecord& b) {
    const uint64_t wa = Weight(partition, a.id), wb = Weight(partition, b.id);
    return wa != wb ? wa > wb : a.id < b.id;
  });
  return nodes;
}

NodeId FirstOwner(const PartitionId& partition, std::vector<NodeRecord> nodes) {
  std::sort(nodes.begin(), nodes.end(),
            [](const NodeRecord& a, const NodeRecord& b) { return a.id < b.id; });
  std::map<ZoneId, uint64_t> in_zone;
  std::vector<std::tuple<uint64_t, ZoneId, NodeId>> order;
  for (const NodeRecord& node : nodes) order.emplace_back(in_zone[node.zone]++, node.zone, node.id);
  std::sort(order.begin(), order.end());
  const uint64_t at = Crc32c(partition.stream.value()) + uint64_t{partition.index};
  return std::get<NodeId>(order[at % order.size()]);
}

std::vector<Replica> Place(const PartitionId& partition, int copies, const NodeRecord& first,
                           absl::Span<const NodeRecord> candidates) {
  std::vector<Replica> placed{{first.id, first.incarnation, first.zone}};
  std::set<ZoneId> zones{first.zone};
  std::vector<NodeRecord> rest = RendezvousOrder(partition, {candidates.begin(), candidates.end()});
  std::erase_if(rest, [&](const NodeRecord& node) { return node.id == first.id; });
  for (const bool new_zones_only : {true, false}) {
    for (const NodeRecord& node : rest) {
      if (static_cast<int>(placed.size()) >= copies) return placed;
      if (IndexOf(placed, node.id) >= 0) continue;
      if (new_zones_only && zones.contains(node.zone)) continue;
      zones.insert(node.zone);
      placed.push_back({node.id, node.incarnation, node.zone});
    }
  }
  return placed;
}

std::optional<QuorumRule> RuleFor(const StreamOptions& stream, absl::Span<const Replica> replicas) {
  const QuorumRule full{stream.ack_copies, stream.ack_zones};
  if (IsAckQuorum(full, replicas, AllOf(replicas))) return full;
  if (stream.on_zone_shortfall == ZoneShortfall::kReject || replicas.empty()) return std::nullopt;
  return QuorumRule{std::min<int>(full.ack_copies, static_cast<int>(replicas.size())),
                    std::min(full.ack_zones, ZoneCount(replicas, AllOf(replicas)))};
}

std::optional<Placement> PlaceSegment(const PartitionId& partition, const StreamOptions& stream,
                                      const NodeRecord& owner, absl::Span<const NodeRecord> live,
                                      absl::FunctionRef<bool(const NodeRecord&)> leaves) {
  const QuorumRule asked{stream.ack_copies, stream.ack_zones};
  for (const bool with_room : {true, false}) {
    for (const bool staying : {true, false}) {
      std::vector<NodeRecord> candidates(live.begin(), live.end());
      std::erase_if(candidates, [&](const NodeRecord& node) {
        return (with_room && node.disk_full) || (staying && leaves(node));
      });
      std::vector<Replica> placed = Place(partition, stream.copies, owner, candidates);
      // The owner is among them in any case, but without room does not count on itself either.
      const bool uncounted = with_room && owner.disk_full;
      const std::vector<Replica> counted(placed.begin() + (uncounted ? 1 : 0), placed.end());
      const auto rule = RuleFor(stream, counted);
      if (rule.has_value() && (!staying || *rule == asked)) {
        return Placement{std::move(placed), *rule};
      }
    }
  }
  return std::nullopt;
}

bool IsFitToOwn(const NodeRecord& node) {
  return !node.draining && !node.disk_full && !node.disk_slow;
}

}  // namespace forebay
