#include "replication/core/placement.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/checksum.h"
#include "replication/core/quorum.h"

namespace forebay {
namespace {

struct Weighed {
  uint64_t weight;
  const NodeRecord* node;
};

bool ComesBefore(const Weighed& a, const Weighed& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.node->id < b.node->id;
}

// A candidate as FillUp compares it.
struct Contender {
  Weighed weighed;
  bool preferred;
  size_t zone;  // of the list of zones
  bool placed;
};

bool IsBetter(const Contender& a, const Contender& b) {
  return a.preferred != b.preferred ? a.preferred : ComesBefore(a.weighed, b.weighed);
}

std::vector<Replica> PlaceAmong(const PartitionId& partition, int copies, const NodeRecord& first,
                                const std::vector<Candidate>& candidates) {
  std::vector<Replica> placed{{first.id, first.incarnation, first.zone}};
  FillUp(partition, copies, candidates, placed);
  return placed;
}

}  // namespace

Rendezvous::Rendezvous(const PartitionId& partition) : partition_(Crc32c(partition.ToString())) {}

// Finalizer of splitmix64: spreads the CRC over 64 bits.
uint64_t Rendezvous::Weight(const NodeId& node) const {
  uint64_t z = (uint64_t{Crc32c(node.value())} << 32) | partition_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

std::vector<NodeRecord> RendezvousOrder(const PartitionId& partition,
                                        std::vector<NodeRecord> nodes) {
  const Rendezvous rendezvous(partition);
  std::vector<Weighed> order;
  order.reserve(nodes.size());
  for (const NodeRecord& node : nodes) order.push_back({rendezvous.Weight(node.id), &node});
  std::sort(order.begin(), order.end(), ComesBefore);
  std::vector<NodeRecord> ordered;
  ordered.reserve(nodes.size());
  for (const Weighed& next : order) {
    ordered.push_back(std::move(nodes[static_cast<size_t>(next.node - nodes.data())]));
  }
  return ordered;
}

std::vector<NodeId> FirstOwners(absl::Span<const NodeRecord> nodes) {
  std::vector<const NodeRecord*> by_id;
  for (const NodeRecord& node : nodes) by_id.push_back(&node);
  std::sort(by_id.begin(), by_id.end(),
            [](const NodeRecord* a, const NodeRecord* b) { return a->id < b->id; });
  std::map<ZoneId, uint64_t> in_zone;
  std::vector<std::tuple<uint64_t, ZoneId, NodeId>> order;
  for (const NodeRecord* node : by_id) {
    order.emplace_back(in_zone[node->zone]++, node->zone, node->id);
  }
  std::sort(order.begin(), order.end());
  std::vector<NodeId> owners;
  for (auto& [round, zone, id] : order) owners.push_back(std::move(id));
  return owners;
}

const NodeId& FirstOwner(const PartitionId& partition, const std::vector<NodeId>& owners) {
  const uint64_t at = Crc32c(partition.stream.value()) + uint64_t{partition.index};
  return owners[at % owners.size()];
}

void FillUp(const PartitionId& partition, int copies, const std::vector<Candidate>& candidates,
            std::vector<Replica>& placed) {
  const Rendezvous rendezvous(partition);
  std::vector<const ZoneId*> zones;
  std::vector<bool> known;  // zones that have a copy
  const auto zone_index = [&](const ZoneId& zone) {
    size_t i = 0;
    while (i < zones.size() && *zones[i] != zone) i++;
    if (i == zones.size()) {
      zones.push_back(&zone);
      known.push_back(false);
    }
    return i;
  };
  std::vector<Contender> contenders;
  contenders.reserve(candidates.size());
  for (const auto& [node, preferred] : candidates) {
    contenders.push_back({{rendezvous.Weight(node->id), node},
                          preferred,
                          zone_index(node->zone),
                          IndexOf(placed, node->id) >= 0});
  }
  for (const Replica& replica : placed) {
    for (size_t i = 0; i < zones.size(); i++) {
      if (*zones[i] == replica.zone) known[i] = true;
    }
  }
  for (const bool new_zones_only : {true, false}) {
    while (static_cast<int>(placed.size()) < copies) {
      Contender* best = nullptr;
      for (Contender& contender : contenders) {
        if (contender.placed || (new_zones_only && known[contender.zone])) continue;
        if (best == nullptr || IsBetter(contender, *best)) best = &contender;
      }
      if (best == nullptr) break;
      const NodeRecord& node = *best->weighed.node;
      placed.push_back({node.id, node.incarnation, node.zone});
      best->placed = known[best->zone] = true;
    }
  }
}

std::vector<Replica> Place(const PartitionId& partition, int copies, const NodeRecord& first,
                           absl::Span<const NodeRecord> candidates) {
  std::vector<Candidate> all;
  all.reserve(candidates.size());
  for (const NodeRecord& node : candidates) all.push_back({&node});
  return PlaceAmong(partition, copies, first, all);
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
      std::vector<Candidate> candidates;
      candidates.reserve(live.size());
      for (const NodeRecord& node : live) {
        if ((with_room && node.disk_full) || (staying && leaves(node))) continue;
        candidates.push_back({&node});
      }
      std::vector<Replica> placed = PlaceAmong(partition, stream.copies, owner, candidates);
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

size_t CountBefore(const TakeoverLine& line, const NodeRecord& self, size_t count_max) {
  const Rendezvous rendezvous(line.partition);
  // What counts more than the rendezvous order, the heaviest first.
  const auto burden = [&](const NodeRecord& node) {
    const int index = IndexOf(line.heirs, node.id);
    const bool heir =
        index >= 0 && line.heirs[static_cast<size_t>(index)].incarnation == node.incarnation;
    return (node.disk_slow ? 8 : 0) + (line.leaves(node) ? 4 : 0) + (heir ? 0 : 2) +
           (node.disk_full ? 1 : 0);
  };
  const int own_burden = burden(self);
  const Weighed own{rendezvous.Weight(self.id), &self};
  size_t count = 0;
  for (const NodeRecord& node : line.live) {
    if (count >= count_max) break;
    const int its_burden = burden(node);
    if (its_burden > own_burden) continue;
    if (its_burden < own_burden || ComesBefore({rendezvous.Weight(node.id), &node}, own)) count++;
  }
  return count;
}

}  // namespace forebay
