// NodeState: what all partitions of a node share. Part of the driver; it takes no protocol
// decision.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "metadata/metadata_store.h"
#include "replication/chain_store.h"
#include "replication/cluster_view.h"
#include "replication/core/stage_tracker.h"
#include "replication/disk_watch.h"
#include "replication/loop_batch.h"
#include "replication/node_loop.h"
#include "replication/replica_host.h"
#include "replication/replicator_parts.h"
#include "replication/scrub_runner.h"
#include "runtime/random.h"
#include "wal/wal_store.h"

namespace forebay {

// Confined to the loop. Lives until no task refers to it.
class NodeState {
 public:
  static std::shared_ptr<NodeState> Make(const ReplicatorParts& parts, Random random,
                                         ReplicatorOptions options);

  absl::Time Now() const { return loop_.Now(); }
  const ReplicatorOptions& options() const { return options_; }
  const NodeRecord& self() const { return cluster_.self(); }
  Random& random() { return random_; }
  // A number of which the low 40 bits are the caller's to use.
  uint64_t NewRequest() { return ++requests_ << 40; }

  NodeLoop& loop() { return loop_; }
  ClusterView& cluster() { return cluster_; }
  const ClusterView& cluster() const { return cluster_; }
  LoopBatch& batch() { return batch_; }
  ChainStore& chains() { return chains_; }
  ReplicaHost& replicas() { return replicas_; }
  ScrubRunner& scrub() { return scrub_; }
  DiskWatch& disk() { return disk_; }
  OwnerStageCounters& stages() { return stages_; }
  MetadataStore& metadata() { return metadata_; }

  // See LoopBatch.
  void Send(Outbox outbox) { batch_.Send(std::move(outbox)); }
  void Write(ReplicaCore::Writes writes) { batch_.Write(std::move(writes)); }
  const absl::Status& store_status() const { return batch_.store_status(); }

  // On every tick: how the disk is, and whether damage is to be told. True when this node's record
  // has changed.
  bool UpdateOwnRecord();

 private:
  NodeState(const ReplicatorParts& parts, Random random, ReplicatorOptions options);
  void NoteDisk(absl::Duration oldest_wait);

  const ReplicatorOptions options_;
  Random random_;
  WalStore& store_;
  MetadataStore& metadata_;
  NodeLoop loop_;
  ClusterView cluster_;
  DiskWatch disk_;
  LoopBatch batch_;
  ChainStore chains_;
  ReplicaHost replicas_;
  ScrubRunner scrub_;
  OwnerStageCounters stages_;
  absl::Time damage_told_ = absl::InfinitePast();
  uint64_t requests_ = 0;
};

}  // namespace forebay
