#include "scaling/fleet.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "replication/core/balance.h"
#include "replication/core/quorum.h"

namespace forebay::scaling {
namespace {

constexpr size_t kPartitionsPerStream = 50'000;  // a stream has 65,536 at most

bool StaysAnyway(const NodeRecord&) { return false; }

}  // namespace

Fleet::Fleet(const FleetOptions& options) : seed_(options.seed), random_(options.seed) {
  AddNodes(options.nodes_of_zone);
  const std::vector<NodeId> first_owners = FirstOwners(live_);
  for (size_t i = 0; i < options.partitions; i++) {
    const auto stream = absl::StrCat("events-", seed_, "-", i / kPartitionsPerStream);
    Partition partition{{StreamId(stream), static_cast<uint32_t>(i % kPartitionsPerStream)}, {}, 0};
    const size_t owner = index_.at(FirstOwner(partition.id, first_owners));
    if (!Open(partition, owner)) failed_++;
    partitions_.push_back(std::move(partition));
  }
}

void Fleet::AddNodes(const std::vector<size_t>& nodes_of_zone) {
  for (size_t zone = 0; zone < nodes_of_zone.size(); zone++) {
    zones_.emplace_back(absl::StrCat("zone-", zone));
    for (size_t i = 0; i < nodes_of_zone[zone]; i++) {
      nodes_.push_back({.id = NodeId(absl::StrFormat("n%d-%04d", zone, i)),
                        .zone = zones_.back(),
                        .address = "192.168.0.1:7400",
                        .incarnation = Incarnation(1),
                        .life = ProcessLife(1)});
    }
  }
  alive_.assign(nodes_.size(), true);
  for (size_t i = 0; i < nodes_.size(); i++) index_[nodes_[i].id] = i;
  NodesChanged();
}

void Fleet::NodesChanged() {
  live_.clear();
  for (size_t i = 0; i < nodes_.size(); i++) {
    if (alive_[i]) live_.push_back(nodes_[i]);
  }
}

size_t Fleet::IndexOfNode(const NodeId& id) const { return index_.at(id); }

void Fleet::SetZoneAlive(size_t zone, bool alive) {
  for (size_t i = 0; i < nodes_.size(); i++) {
    if (nodes_[i].zone == zones_[zone]) alive_[i] = alive;
  }
  NodesChanged();
}

void Fleet::SetNodeAlive(size_t node, bool alive) {
  alive_[node] = alive;
  NodesChanged();
}

size_t Fleet::AddNode(size_t zone) {
  NodeRecord node = nodes_.front();
  node.id = NodeId(absl::StrCat("new-", nodes_.size()));
  node.zone = zones_[zone];
  nodes_.push_back(node);
  alive_.push_back(true);
  index_[node.id] = nodes_.size() - 1;
  NodesChanged();
  return nodes_.size() - 1;
}

bool Fleet::Open(Partition& partition, size_t owner) {
  stream_.name = partition.id.stream;
  auto placed = PlaceSegment(partition.id, stream_, nodes_[owner], live_, StaysAnyway);
  if (!placed.has_value()) return false;
  partition.open.replicas = std::move(placed->replicas);
  partition.open.rule = placed->rule;
  partition.open.owner = nodes_[owner].id;
  partition.owner = owner;
  return true;
}

TakeoverLine Fleet::LineOf(const Partition& partition) const {
  return {partition.id, partition.open.replicas, live_, StaysAnyway};
}

size_t Fleet::FirstInLine(const Partition& partition) const {
  const TakeoverLine line = LineOf(partition);
  for (const Replica& replica : partition.open.replicas) {
    const size_t heir = index_.at(replica.node);
    if (alive_[heir] && CountBefore(line, nodes_[heir], 1) == 0) return heir;
  }
  return Line(partition, 1).front();
}

std::vector<size_t> Fleet::Line(const Partition& partition, size_t places) const {
  const Rendezvous rendezvous(partition.id);
  std::vector<std::tuple<bool, uint64_t, size_t>> order;  // heirs first, then by weight
  for (size_t i = 0; i < nodes_.size(); i++) {
    if (!alive_[i]) continue;
    const bool heir = IndexOf(partition.open.replicas, nodes_[i].id) >= 0;
    order.emplace_back(heir, rendezvous.Weight(nodes_[i].id), i);
  }
  places = std::min(places, order.size());
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(places);
  std::partial_sort(order.begin(), end, order.end(), std::greater<>());
  std::vector<size_t> line;
  for (auto at = order.begin(); at != end; ++at) line.push_back(std::get<2>(*at));
  return line;
}

std::vector<uint64_t> Fleet::TakeOver() {
  std::vector<uint64_t> taken(nodes_.size(), 0);
  for (Partition& partition : partitions_) {
    if (alive_[partition.owner]) continue;
    const size_t heir = FirstInLine(partition);
    if (Open(partition, heir)) {
      taken[heir]++;
    } else {
      failed_++;
    }
  }
  std::vector<uint64_t> of_live;
  for (size_t i = 0; i < nodes_.size(); i++) {
    if (alive_[i]) of_live.push_back(taken[i]);
  }
  return of_live;
}

uint64_t Fleet::Roll() {
  uint64_t rolls = 0;
  for (Partition& partition : partitions_) {
    Partition next = partition;
    if (!Open(next, partition.owner)) {
      failed_++;
      continue;
    }
    const auto is_gone = [&](const Replica& replica) { return !alive_[index_.at(replica.node)]; };
    const auto& now = partition.open.replicas;
    const bool due =
        std::any_of(now.begin(), now.end(), is_gone) || next.open.replicas.size() > now.size() ||
        ZoneCount(next.open.replicas, AllOf(next.open.replicas)) > ZoneCount(now, AllOf(now));
    if (!due) continue;
    partition = std::move(next);
    rolls++;
  }
  return rolls;
}

uint64_t Fleet::RollAll() {
  uint64_t moved = 0;
  for (Partition& partition : partitions_) {
    const std::vector<Replica> before = partition.open.replicas;
    if (!Open(partition, partition.owner)) failed_++;
    if (partition.open.replicas != before) moved++;
  }
  return moved;
}

uint64_t Fleet::Balance() {
  std::vector<const Segment*> open;
  for (const Partition& partition : partitions_) open.push_back(&partition.open);
  const OwnerBalance balance(live_, open);
  std::vector<bool> gave(nodes_.size(), false);
  uint64_t moves = 0;
  const size_t first = random_.Below(partitions_.size());
  for (size_t i = 0; i < partitions_.size(); i++) {
    Partition& partition = partitions_[(first + i) % partitions_.size()];
    const NodeId from = partition.open.owner;
    if (gave[partition.owner] || !balance.IsHeavy(from)) continue;
    for (const Replica& replica : std::vector<Replica>(partition.open.replicas)) {
      if (!random_.Chance(balance.Chance(from, replica.node))) continue;
      gave[partition.owner] = true;
      if (!Open(partition, index_.at(replica.node))) failed_++;
      moves++;
      break;
    }
  }
  return moves;
}

RepairWork Fleet::Repair(const std::vector<Partition>& before) const {
  RepairWork work;
  std::vector<Candidate> candidates;
  for (const NodeRecord& node : live_) candidates.push_back({&node});
  std::vector<uint64_t> by_target(nodes_.size(), 0), by_owner(nodes_.size(), 0);
  for (size_t i = 0; i < before.size(); i++) {
    std::vector<Replica> holders = before[i].open.replicas;
    std::erase_if(holders, [&](const Replica& r) { return !alive_[index_.at(r.node)]; });
    const size_t kept = holders.size();
    if (kept == before[i].open.replicas.size()) continue;
    FillUp(before[i].id, stream_.copies, candidates, holders);
    for (size_t j = kept; j < holders.size(); j++) {
      work.copies++;
      by_target[index_.at(holders[j].node)]++;
      by_owner[partitions_[i].owner]++;
    }
    if (holders.size() < static_cast<size_t>(stream_.copies)) work.short_of_copies++;
  }
  std::vector<uint64_t> targets, owners;
  for (size_t i = 0; i < nodes_.size(); i++) {
    if (!alive_[i]) continue;
    targets.push_back(by_target[i]);
    owners.push_back(by_owner[i]);
  }
  work.by_target = Spread::Of(std::move(targets));
  work.by_owner = Spread::Of(std::move(owners));
  return work;
}

uint64_t Fleet::unplaced() const {
  uint64_t count = failed_;
  for (const Partition& partition : partitions_) {
    ReplicaMask up = 0;
    for (size_t i = 0; i < partition.open.replicas.size(); i++) {
      if (alive_[index_.at(partition.open.replicas[i].node)]) up |= ReplicaMask{1} << i;
    }
    const bool served =
        alive_[partition.owner] && IsAckQuorum(partition.open.rule, partition.open.replicas, up);
    if (!served) count++;
  }
  return count;
}

std::vector<uint64_t> Fleet::OwnedByNode() const {
  std::vector<uint64_t> owned(nodes_.size(), 0);
  for (const Partition& partition : partitions_) owned[partition.owner]++;
  return owned;
}

Spread Fleet::Owned() const {
  const std::vector<uint64_t> owned = OwnedByNode();
  std::vector<uint64_t> of_live;
  for (size_t i = 0; i < nodes_.size(); i++) {
    if (alive_[i]) of_live.push_back(owned[i]);
  }
  return Spread::Of(std::move(of_live));
}

Spread Fleet::Copies() const {
  std::vector<uint64_t> held(nodes_.size(), 0);
  for (const Partition& partition : partitions_) {
    for (const Replica& replica : partition.open.replicas) held[index_.at(replica.node)]++;
  }
  std::vector<uint64_t> of_live;
  for (size_t i = 0; i < nodes_.size(); i++) {
    if (alive_[i]) of_live.push_back(held[i]);
  }
  return Spread::Of(std::move(of_live));
}

}  // namespace forebay::scaling
