// NodeState: what all partitions of a node share: its store and replica core, the peers, and the
// ways to write, send, read and swap. Part of the driver; knows no protocol decisions.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "forebay/clock.h"
#include "metadata/metadata_store.h"
#include "records/records.h"
#include "replication/cluster_status.h"
#include "replication/core/outbox.h"
#include "replication/core/repair.h"
#include "replication/core/replica.h"
#include "replication/core/scrubber.h"
#include "replication/core/stage_tracker.h"
#include "replication/disk_watch.h"
#include "replication/replicator_parts.h"
#include "replication/transport.h"
#include "runtime/executor.h"
#include "runtime/random.h"
#include "wal/wal_store.h"

namespace forebay {

// A chain as the metadata store held it at a version; version 0: there is none yet.
struct VersionedChain {
  uint64_t version = 0;
  Chain chain;
};

// How a swap of a chain ended. `now` is what the metadata store holds.
struct ChainSwap {
  bool applied = false;  // the proposed last segment is (or was) in the chain by our doing
  VersionedChain now;
};

// Confined to the loop. Lives until no task refers to it.
class NodeState : public std::enable_shared_from_this<NodeState> {
 public:
  using Dispatch = absl::AnyInvocable<void(const NodeId& from, Message message)>;
  using FetchDone = absl::AnyInvocable<void(FetchReply)>;

  NodeState(const ReplicatorParts& parts, Random random, ReplicatorOptions options);

  absl::Time Now() const { return clock_.Now(); }
  Random& random() { return random_; }
  ReplicaCore& replica() { return replica_; }
  OwnerStageCounters& stages() { return stages_; }
  const ReplicatorOptions& options() const { return options_; }
  const NodeRecord& self() const { return options_.self; }
  MetadataStore& metadata() { return metadata_; }
  uint64_t NewRequest() { return ++requests_ << 40; }

  // Runs the task on the loop, unless the node has stopped by then.
  void Post(Task task);
  void PostAfter(absl::Duration delay, Task task);
  void Stop() { stopped_ = true; }
  bool stopped() const { return stopped_; }

  // What the tasks that wait in the loop decide leaves together, at the end of their turn: one
  // message to a peer, one write to the store, and one wake-up of each, carry it all.
  void AtEndOfTurn(Task task);
  // For what need not leave at once: runs when something else goes to that node, or a little later.
  void WithTheNextTo(const NodeId& node, Task task);
  // Messages to this node come back through the loop.
  void SetDispatch(Dispatch dispatch) { dispatch_ = std::move(dispatch); }
  void Send(Outbox outbox);
  // Makes a batch of the replica core's durable, then sends what waited for it.
  void Write(ReplicaCore::Writes writes);
  // The store's failure, once there is one.
  const absl::Status& store_status() const { return store_status_; }

  // Reads the node's own store for a FetchRequest.
  void ServeFetch(const FetchRequest& request, FetchDone done);
  // Decodes blocks for their digests, off the loop; then they know them (Block::known_digest).
  void ReadDigests(std::vector<StoredBlock> blocks,
                   absl::AnyInvocable<void(std::vector<StoredBlock>)> done);
  // Drops what has reached every sink from this node's copies of the partition's open segment.
  void TrimLocal(const PartitionId& partition, const Chain& chain, Offset floor);

  // Swaps until the outcome is known: a time-out is settled by another swap (roll-settles).
  void SwapChain(const PartitionId& partition, uint64_t version, Chain chain,
                 absl::AnyInvocable<void(ChainSwap)> done);
  // The same, but ends with an empty chain when the first try says that the store takes no writes,
  // so that the swap is surely not applied.
  void SwapChainOrNot(const PartitionId& partition, uint64_t version, Chain chain,
                      absl::AnyInvocable<void(ChainSwap)> done);
  // Whether the metadata store takes writes at the moment: true only on proof.
  void AskForWrites(absl::AnyInvocable<void(bool)> done);
  void ReadChain(const PartitionId& partition, absl::AnyInvocable<void(VersionedChain)> done);
  // Swaps in the first chain of a partition. At most kCreatedAtOnceMax creations are outstanding;
  // more would time out at the metadata store and be retried.
  bool MayCreateChain() const;
  void CreateChain(const PartitionId& partition, Chain chain,
                   absl::AnyInvocable<void(ChainSwap)> done);

  // --- the disk
  DiskWatch& disk() { return disk_; }
  // On every tick. True when what this node's record says about its disk has changed.
  bool LookAtDisk();

  // --- damage (G10): node_scrub.cc
  // Something that the store cannot read, found by any reader.
  void OnDamage(const SegmentKey& key, const Damage& damage);
  // On every tick.
  void Scrub();
  ScrubStats scrub_stats() const;

  // --- nodes
  void SetRecord(const NodeRecord& record);
  void SetAlive(const NodeId& node, ProcessLife life, bool alive);
  void SetDraining(bool draining) {
    options_.self.draining = draining;
    live_.reset();
  }
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
  void SetMaintenance(const std::string& key, const MaintenanceRecord& record);
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

  struct NextTo {
    std::vector<Task> tasks;
    bool timer_runs = false;  // at its end they run in any case
  };

  struct SwapTry {
    PartitionId partition;
    uint64_t version = 0;
    Chain chain;
    bool may_end = false;  // no try so far may still be applied, and the caller can do without
  };
  void TrySwap(SwapTry swap, absl::AnyInvocable<void(ChainSwap)> done);
  void OnSwapTried(SwapTry swap, const SwapResult& result,
                   absl::AnyInvocable<void(ChainSwap)> done);
  // What follows from the nodes' records and liveness; every survey of every partition asks.
  struct LiveView {
    std::vector<NodeRecord> nodes;
    std::vector<NodeId> first_owners;
  };
  const LiveView& Live() const;
  bool IsAliveView(const NodeView& view) const;
  void EndTurnSoon();
  void EndTurn();
  void WriteTurn();
  void OnDurable(size_t batches);
  struct ScrubFinding {
    Scrubber::Result result;
    std::optional<Damage> damage;
    FileCheck files;
  };
  ScrubFinding ReadStep(const Scrubber::Step& step, std::optional<SegmentExtent> extent);
  void OnStep(const Scrubber::Step& step, const ScrubFinding& finding);
  void NoteRestored();

  Clock& clock_;
  Executor& loop_;
  Executor& reads_;
  Random random_;
  WalStore& store_;
  MetadataStore& metadata_;
  Transport& transport_;
  const LivenessMonitor& liveness_;
  ReplicatorOptions options_;
  ReplicaCore replica_;
  DiskWatch disk_;
  Scrubber scrubber_;
  OwnerStageCounters stages_;
  uint64_t damage_found_ = 0;
  uint64_t damage_repaired_ = 0;
  uint64_t damage_mark_ = 0;  // for NodeRecord::damage, when it is time
  absl::Time damage_told_ = absl::InfinitePast();
  const absl::Time started_at_;
  Dispatch dispatch_;
  std::map<NodeId, NodeView> nodes_;
  std::map<std::string, MaintenanceRecord> maintenance_;  // by key; only what is leaving
  mutable std::optional<LiveView> live_;                  // until a node changes
  std::map<SegmentKey, bool> trimming_;
  absl::Status store_status_;
  // Of this turn.
  bool turn_ends_soon_ = false;
  std::vector<Task> at_end_of_turn_;
  std::map<NodeId, NextTo> with_the_next_;
  std::map<NodeId, std::vector<Message>> outgoing_;
  ReplicaCore::Writes writes_;
  size_t write_batches_ = 0;  // of the replica core's
  size_t write_bytes_ = 0;    // of their blocks
  uint64_t requests_ = 0;
  std::vector<absl::AnyInvocable<void(bool)>> ask_for_writes_;  // one question for all of them
  size_t creating_ = 0;                                         // first chains
  std::atomic<bool> stopped_ = false;                           // also read by reads under way
};

}  // namespace forebay
