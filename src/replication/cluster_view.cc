#include "replication/cluster_view.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "replication/core/placement.h"
#include "replication/core/producer_table.h"

namespace forebay {

ClusterView::ClusterView(const NodeLoop& loop, Transport& transport,
                         const LivenessMonitor& liveness, const LivenessOptions& options,
                         NodeRecord self)
    : loop_(loop),
      transport_(transport),
      liveness_(liveness),
      options_(options),
      self_(std::move(self)),
      started_at_(loop_.Now()) {}

void ClusterView::SetRecord(const NodeRecord& record) {
  nodes_[record.id].record = record;
  live_.reset();
  std::map<NodeId, std::string> addresses;
  for (const auto& [id, view] : nodes_) {
    if (view.record.has_value() && id != self_.id) addresses[id] = view.record->address;
  }
  transport_.SetPeers(std::move(addresses));
}

void ClusterView::SetAlive(const NodeId& node, ProcessLife life, bool alive) {
  NodeView& view = nodes_[node];
  if (view.alive != alive) view.since = loop_.Now();
  view.life = life;
  view.alive = alive;
  live_.reset();
}

const NodeRecord* ClusterView::Record(const NodeId& node) const {
  if (node == self_.id) return &self_;
  const auto found = nodes_.find(node);
  return found == nodes_.end() || !found->second.record.has_value() ? nullptr
                                                                    : &*found->second.record;
}

int ClusterView::SnapshotFormat() const {
  // The watch tells of all nodes at once, so until this node's own record came from there, others
  // are not known either.
  const auto own = nodes_.find(self_.id);
  if (own == nodes_.end() || !own->second.record.has_value()) return 1;
  const bool all = std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) {
    return !node.second.record.has_value() || node.second.record->level >= kReadsSnapshotFormat2;
  });
  return all ? ProducerTable::kFormat : 1;
}

bool ClusterView::IsAliveView(const NodeView& view) const {
  return view.record.has_value() && view.alive && view.life == view.record->life;
}

bool ClusterView::IsAlive(const NodeId& node) const {
  if (node == self_.id) return true;
  const auto found = nodes_.find(node);
  return found != nodes_.end() && IsAliveView(found->second);
}

bool ClusterView::OwnerSeemsGone(const Segment& segment) const {
  if (segment.owner == self_.id) return segment.owner_life != self_.life;
  const auto found = nodes_.find(segment.owner);
  if (found != nodes_.end() && found->second.alive) return found->second.life != segment.owner_life;
  // Our own start is not the peer's failure: it has had no time to be heard yet.
  return loop_.Now() - started_at_ > 2 * options_.suspect_after;
}

const ClusterView::LiveView& ClusterView::Live() const {
  if (live_.has_value()) return *live_;
  std::vector<NodeRecord> live{self_};
  for (const auto& [id, view] : nodes_) {
    if (id != self_.id && IsAliveView(view) && !view.record->draining) {
      live.push_back(*view.record);
    }
  }
  std::stable_partition(live.begin(), live.end(),
                        [this](const NodeRecord& node) { return !IsLeaving(node); });
  std::vector<NodeRecord> fit;
  std::copy_if(live.begin(), live.end(), std::back_inserter(fit), IsFitToOwn);
  live_ = {live, FirstOwners(fit.empty() ? live : fit)};
  return *live_;
}

void ClusterView::SetMaintenance(const std::string& key, const MaintenanceRecord& record) {
  live_.reset();
  if (record.leaving) {
    maintenance_[key] = record;
  } else {
    maintenance_.erase(key);
  }
}

bool ClusterView::IsLeaving(const NodeRecord& node) const {
  return std::any_of(maintenance_.begin(), maintenance_.end(), [&](const auto& item) {
    const MaintenanceRecord& record = item.second;
    return record.of == MaintenanceRecord::Of::kZone ? record.name == node.zone.value()
                                                     : record.name == node.id.value();
  });
}

std::vector<RepairNode> ClusterView::RepairNodes() const {
  std::vector<RepairNode> nodes;
  const auto add = [&](const NodeRecord& record, bool alive, bool gone_long) {
    const bool leaving = IsLeaving(record);
    NodeId replaces;
    for (const auto& [key, maintenance] : maintenance_) {
      if (maintenance.replacement == record.id) replaces = NodeId(maintenance.name);
    }
    nodes.push_back({record, alive, gone_long || leaving, leaving, std::move(replaces)});
  };
  add(self_, true, false);
  for (const auto& [id, view] : nodes_) {
    if (id == self_.id || !view.record.has_value()) continue;
    const bool alive = IsAliveView(view);
    const absl::Time gone_since = std::max(view.since, started_at_);
    const bool gone_long = !alive && loop_.Now() - gone_since > options_.replace_after;
    add(*view.record, alive, gone_long);
  }
  return nodes;
}

std::vector<NodeStatus> ClusterView::Statuses() const {
  std::vector<NodeStatus> statuses{{self_, true, IsLeaving(self_)}};
  for (const auto& [id, view] : nodes_) {
    if (id != self_.id && view.record.has_value()) {
      statuses.push_back({*view.record, IsAliveView(view), IsLeaving(*view.record)});
    }
  }
  return statuses;
}

}  // namespace forebay
