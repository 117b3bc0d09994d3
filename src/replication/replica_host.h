// ReplicaHost: runs the replica core of this node: requests of owners and of nodes that take over,
// reads of what is held, trimming, and damage (G10).
#pragma once

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "replication/core/replica.h"
#include "replication/loop_batch.h"
#include "replication/node_loop.h"
#include "runtime/random.h"
#include "wal/wal_store.h"

namespace forebay {

// Confined to the loop.
class ReplicaHost {
 public:
  using FetchDone = absl::AnyInvocable<void(FetchReply)>;

  // The others must outlive this object.
  ReplicaHost(NodeLoop& loop, LoopBatch& batch, WalStore& store, NodeId self, Random random);

  ReplicaCore& core() { return core_; }
  const ReplicaCore& core() const { return core_; }

  // A request to this replica; messages that are none are left alone.
  void OnRequest(const NodeId& from, const Message& message);
  // The oldest batches of the core's have become durable.
  void OnDurable(size_t batches);

  // Reads this node's store for a FetchRequest.
  void Fetch(const FetchRequest& request, FetchDone done);
  // Decodes blocks for their digests, off the loop; then they know them (Block::known_digest).
  void ReadDigests(std::vector<StoredBlock> blocks,
                   absl::AnyInvocable<void(std::vector<StoredBlock>)> done);
  // What is to be dropped of a partition, and how the snapshot that stays is written.
  struct TrimTo {
    Offset floor;
    int snapshot_format = 1;
  };
  // Drops what has reached every sink from this node's copies of the partition's open segment.
  void Trim(const PartitionId& partition, const Chain& chain, TrimTo to);

  // --- damage
  // Something that the store cannot read, whatever came across it.
  void OnDamage(const SegmentKey& key, const Damage& damage);
  // Files of the store's own that were damaged, and of these, written again from memory.
  void CountFiles(uint64_t damaged, uint64_t repaired);
  uint64_t damage_found() const { return damage_found_; }
  uint64_t damage_repaired() const { return damage_repaired_; }
  // For NodeRecord::damage: another one each time something is found.
  uint64_t damage_mark() const { return damage_mark_; }
  // What has been restored since this was last asked.
  std::vector<std::pair<SegmentKey, Damage>> TakeRestored() { return std::exchange(restored_, {}); }

 private:
  void TrimOne(const SegmentKey& key, SegmentExtent extent, TrimTo to);
  void NoteRestored();

  NodeLoop& loop_;
  LoopBatch& batch_;
  WalStore& store_;
  Random random_;
  ReplicaCore core_;
  std::set<SegmentKey> trimming_;
  uint64_t damage_found_ = 0;
  uint64_t damage_repaired_ = 0;
  uint64_t damage_mark_ = 0;
  std::vector<std::pair<SegmentKey, Damage>> restored_;
};

}  // namespace forebay
