// The Replicator: one node's part in keeping events safe. It runs the pure cores (owner, replica,
// sealer, repairer) against the store, the metadata and the peers.
#pragma once

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "block/block.h"
#include "replication/core/cluster_status.h"
#include "replication/core/owner_stages.h"
#include "replication/replicator_parts.h"
#include "runtime/random.h"
#include "wal/disk_usage.h"

namespace forebay {

// Thread-safe; works on parts.loop only, and calls back there. Stop() before destruction.
class Replicator {
 public:
  using AppendDone = forebay::AppendDone;
  using ReadDone = forebay::ReadDone;
  using StatusDone = absl::AnyInvocable<void(std::vector<PartitionStatus>)>;

  Replicator(const ReplicatorParts& parts, Random random, ReplicatorOptions options);
  ~Replicator();

  void Start(OwnershipListener listener);
  // Refuses what is new and settles what is waiting as unknown. No callback runs after `done`.
  void Stop(absl::AnyInvocable<void()> done);

  // Takes a block for a partition this node owns. UNAVAILABLE with "not the owner" otherwise.
  void Append(const PartitionId& partition, Block block, AppendDone done);

  // Committed blocks from `from` (a block may start before it; the caller cuts), from this node's
  // store or a peer's. Only on the owner. OUT_OF_RANGE: trimmed. Empty: nothing committed there
  // yet.
  void Read(const PartitionId& partition, Offset from, size_t bytes_max, ReadDone done);

  // Everything below `floor` has reached every sink and may be trimmed.
  void SetTrimFloor(const PartitionId& partition, Offset floor);

  // A client could not reach the owner it believes in (its epoch given): probe it, and take over if
  // it does not answer. OK when the attempt ended, however it ended.
  void TakeOver(const PartitionId& partition, Epoch seen_epoch,
                absl::AnyInvocable<void(absl::Status)> done);
  // Stops owning it and asks `to` (empty: the best replica) to take over. OK at once if `to` is
  // this node.
  void HandOver(const PartitionId& partition, NodeId to,
                absl::AnyInvocable<void(absl::Status)> done);
  // Hands over everything, then takes over nothing more.
  void HandOverAll(absl::AnyInvocable<void(absl::Status)> done);

  void Status(StatusDone done);
  // Runs the task in the loop, after what waits there already.
  void Post(Task task);
  // Every registered node, as last heard of. Any thread.
  std::vector<NodeStatus> Nodes() const;

  // What the scrub, and any other reader of the store, has found in it. Any thread.
  ScrubStats Scrub() const;

  // Of the blocks that this node took in as their owner. Any thread.
  OwnerStages Stages() const;

  // How full the store's disk is now; until the first call it counts as empty.
  void SetDiskUsage(const DiskUsage& usage);

  // From the liveness monitor.
  void SetAlive(const NodeId& node, ProcessLife life, bool alive);

 private:
  class Impl;
  // Shared with tasks and callbacks under way, which may outlive this object.
  std::shared_ptr<Impl> impl_;
};

}  // namespace forebay
