// ClusterView: the nodes as this node knows them: their records, who is alive, and who is to leave.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "forebay/options.h"
#include "records/records.h"
#include "replication/core/cluster_status.h"
#include "replication/core/repair.h"
#include "replication/liveness.h"
#include "replication/node_loop.h"
#include "replication/transport.h"

namespace forebay {

// NodeRecord::level of a node that reads format 2 of the producers' snapshots.
inline constexpr int kReadsSnapshotFormat2 = 1;

// Confined to the loop.
class ClusterView {
 public:
  // `self` is this node's record. The others must outlive this object.
  ClusterView(const NodeLoop& loop, Transport& transport, const LivenessMonitor& liveness,
              const LivenessOptions& options, NodeRecord self);

  const NodeRecord& self() const { return self_; }
  // This node's record, to be changed; it is the caller's business to register it again.
  NodeRecord& ChangeSelf() {
    live_.reset();
    return self_;
  }

  // --- what is heard
  void SetRecord(const NodeRecord& record);
  void SetAlive(const NodeId& node, ProcessLife life, bool alive);
  void SetMaintenance(const std::string& key, const MaintenanceRecord& record);

  // --- what follows from it
  // nullptr: not registered.
  const NodeRecord* Record(const NodeId& node) const;
  // The format of producers' snapshots that every registered node reads: any of them may take over.
  int SnapshotFormat() const;
  // It sends heartbeats, from the life that is registered.
  bool IsAlive(const NodeId& node) const;
  // See LivenessMonitor::HasAnswered.
  bool HasAnswered(const NodeId& node, absl::Time since) const {
    return liveness_.HasAnswered(node, since);
  }
  // The process that opened the segment is gone for sure, or seems to be.
  bool OwnerSeemsGone(const Segment& segment) const;
  // Alive and not draining; this node among them. Those that leave come last. Valid until a node
  // changes.
  const std::vector<NodeRecord>& LiveNodes() const { return Live().nodes; }
  // Of live nodes that are fit to own, or of all if none is.
  const std::vector<NodeId>& LiveFirstOwners() const { return Live().first_owners; }
  // An operator wants the node, or its zone, emptied.
  bool IsLeaving(const NodeRecord& node) const;
  std::vector<RepairNode> RepairNodes() const;
  std::vector<NodeStatus> Statuses() const;

 private:
  struct NodeView {
    std::optional<NodeRecord> record;
    ProcessLife life;  // of the last heartbeat
    bool alive = false;
    absl::Time since;  // when `alive` last changed
  };
  // What follows from the nodes' records and liveness; every survey of every partition asks.
  struct LiveView {
    std::vector<NodeRecord> nodes;
    std::vector<NodeId> first_owners;
  };
  const LiveView& Live() const;
  bool IsAliveView(const NodeView& view) const;

  const NodeLoop& loop_;
  Transport& transport_;
  const LivenessMonitor& liveness_;
  const LivenessOptions options_;
  NodeRecord self_;
  const absl::Time started_at_;
  std::map<NodeId, NodeView> nodes_;
  std::map<std::string, MaintenanceRecord> maintenance_;  // by key; only what is leaving
  mutable std::optional<LiveView> live_;                  // until a node changes
};

}  // namespace forebay
