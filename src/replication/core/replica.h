// ReplicaCore: what a node may store for others, and what it may say about it. Pure:
// messages in, writes and messages out; one per node, all partitions. Its rules:
// docs/design/protocol.md#replica
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "block/segment.h"
#include "records/records.h"
#include "replication/core/message.h"
#include "replication/core/outbox.h"

namespace forebay {

// Something stored that cannot be read: the block that holds an offset, or else the snapshot.
struct Damage {
  std::optional<Offset> block;
  friend auto operator<=>(const Damage&, const Damage&) = default;
};
struct DamagedSegment {
  std::set<Offset> blocks;  // an offset of each
  bool snapshot = false;
  bool given_up = false;
};

// Confined to one executor. Each call that returns writes wants them made durable as one batch, in
// the order of the calls, and OnDurable called once for each such batch, in that order.
class ReplicaCore {
 public:
  using Writes = std::vector<WalWrite>;

  ReplicaCore(NodeId self, Incarnation incarnation, const WalContent& content);

  Writes OnMirror(const NodeId& from, const MirrorRequest& request, Outbox& out);
  Writes OnFence(const NodeId& from, const FenceRequest& request, Outbox& out);
  Writes OnCopy(const NodeId& from, const CopyRequest& request, Outbox& out);
  // The oldest batch that is not settled has become durable: the answers that waited for it go.
  void OnDurable(Outbox& out);

  // With `full`, no block is taken that is not here already: what is free is for drain and trim.
  // What was taken before stays, and is told.
  void SetFull(bool full) { full_ = full; }

  // A chain was read, or heard of. Returns what to delete: copies that no segment names, provided
  // that the chain is newer than every copy request answered and than the first chain seen by this
  // process (docs/design/model.md#guards, "wanted"; H4).
  Writes OnChain(const PartitionId& partition, uint64_t version, const Chain& chain);

  // Replaces the snapshot and drops blocks below `start`, unless the segment changed since its
  // extent was read.
  Writes Trim(const SegmentKey& key, Offset start_before, Offset start, std::string snapshot);

  // --- damage to what is held (G10). A damaged copy goes on acknowledging what is appended to it,
  // but is not called whole: its answers to copy requests end at the damage, and copies sent for
  // that are written over it. False: it is known already, or is not held any more.
  bool OnDamage(const SegmentKey& key, const Damage& damage);
  // The node has done what it could: nobody it knows of has this. Until Retry, the copy is treated
  // as if nothing were wrong, because nothing can be copied by waiting for it.
  void GiveUp(const SegmentKey& key);
  void Retry(const SegmentKey& key);
  // It is of no use to anyone: not in the chain, or beyond a sealed end.
  void Forget(const SegmentKey& key, Offset from);
  // By segment; those given up among them.
  const std::map<SegmentKey, DamagedSegment>& damaged() const { return damaged_; }
  // Replaces the snapshot of the segment by one that is true at its start, `start`.
  Writes RestoreSnapshot(const SegmentKey& key, Offset start, std::string snapshot);
  // What has been restored, durably, since this was last asked.
  std::vector<std::pair<SegmentKey, Damage>> TakeRestored() { return std::exchange(restored_, {}); }

  // Durable extent; nothing when there is no such segment (or it is not durable yet).
  std::optional<SegmentExtent> DurableExtent(const SegmentKey& key) const;
  // The partition's fence, durable or on its way.
  Epoch FenceOf(const PartitionId& partition) const;
  Incarnation incarnation() const { return incarnation_; }
  std::vector<SegmentKey> AllSegments() const;
  // Segments of a partition that are held here.
  std::vector<SegmentKey> SegmentsOf(const PartitionId& partition) const;

 private:
  struct SegmentState {
    Offset start;
    Offset next;                    // what is accepted next
    std::optional<Offset> durable;  // local tail; nothing before the opening is durable
    // Offset and checksum of the last blocks. Mostly empty, and then a deque takes 600 bytes.
    std::vector<std::pair<Offset, uint32_t>> recent;
    uint64_t generation = 0;  // tells a segment from one that was dropped under the same key
  };
  struct PartitionState {
    Epoch fence;
    std::optional<uint64_t> first_version;  // of the first chain this process saw
    uint64_t wanted = 0;                    // newest chain version of a copy request
  };
  // What becomes true, and is said, when a batch is durable.
  struct Pending {
    SegmentKey segment;
    uint64_t generation = 0;
    std::optional<Offset> tail;
    std::optional<std::pair<NodeId, Message>> reply;  // its extent is filled in when it goes
    std::vector<Damage> restored = {};
  };

  // Opens the segment at `start` when it is missing, or when what is here ends before `start`
  // (everything below `start` has been trimmed where the blocks come from).
  SegmentState* OpenAt(const SegmentKey& key, const std::optional<std::string>& snapshot,
                       Offset start, Writes& writes);
  // Takes the blocks that continue the segment, skips those it has.
  void Accept(const SegmentKey& key, SegmentState& state, Offset first,
              const std::vector<Block>& blocks, Writes& writes);
  // The block covers damage here: writes it again.
  void Restore(const SegmentKey& key, Offset first, const Block& block, Writes& writes);
  // Damage below `start` has been trimmed where the blocks come from: so it goes here too.
  void TrimDamaged(const SegmentKey& key, Offset start, const std::optional<std::string>& snapshot,
                   Writes& writes);
  // What cannot be read from there on, unless it was given up.
  std::optional<Offset> FirstDamage(const SegmentKey& key) const;
  void FinishRestored(const SegmentKey& key, const std::vector<Damage>& restored);
  // One of the blocks is not what is held at its offset. Cannot happen while an epoch has one
  // owner; refused, because acknowledging it would lose an event.
  bool Differs(const SegmentKey& key, Offset first, const std::vector<Block>& blocks) const;
  // The disk is full, and these would need more of it.
  bool HasNoRoomFor(const SegmentState& state, Offset first,
                    const std::vector<Block>& blocks) const;
  void Answer(const NodeId& to, const SegmentKey& key, Message reply, const Writes& writes,
              Outbox& out);
  void FillIn(const SegmentKey& key, Message& reply) const;
  MirrorReply Refuse(const MirrorRequest& request, ReplicaAnswer answer) const;

  const NodeId self_;
  const Incarnation incarnation_;
  std::map<SegmentKey, SegmentState> segments_;
  std::map<PartitionId, PartitionState> partitions_;
  std::deque<Pending> pending_;
  std::map<SegmentKey, DamagedSegment> damaged_;
  std::vector<Damage> restoring_;  // by the call that is under way
  std::vector<std::pair<SegmentKey, Damage>> restored_;
  uint64_t generations_ = 0;
  bool full_ = false;
};

}  // namespace forebay
