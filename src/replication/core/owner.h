// OwnerCore: the owner of a partition's open segment. It gives blocks their offsets, mirrors them,
// and says when they are committed. (docs/design/protocol.md#owner) Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "forebay/errors.h"
#include "records/records.h"
#include "replication/core/message.h"
#include "replication/core/outbox.h"
#include "replication/core/producer_table.h"
#include "replication/core/quorum.h"
#include "replication/core/stage_tracker.h"

namespace forebay {

// Chosen by the caller for each append; comes back with its result, once.
using Ticket = uint64_t;

struct OwnerOptions {
  size_t window_bytes = 16 << 20;        // blocks held in memory; over it appends are refused
  size_t mirror_window_bytes = 8 << 20;  // sent to one replica and not answered
  absl::Duration resend_after = absl::Milliseconds(300);   // without an answer
  absl::Duration forget_producer_after = absl::Hours(24);  // idle; Kafka's default is 24 h too
  size_t held_max = 1024;   // refusals that wait to be confirmed; over it appends come again later
  int snapshot_format = 1;  // that every node can read: see ProducerTable::kFormat
};

// What the owner wants of its driver, besides messages.
struct OwnerOutput {
  Outbox outbox;
  std::vector<std::pair<Ticket, AppendResult>> results;
  // A replica is behind what is in memory: read the owner's own store from there and call
  // OnCatchUp. At most one such read per replica is under way.
  std::vector<std::pair<NodeId, Offset>> catch_ups;
  bool readable_more = false;
  std::vector<NodeId> rest;  // see Mirror
  // A replica has been fenced at this epoch by a sealer.
  std::optional<Epoch> fenced;
};

// Confined to one executor. The owner's own node is a replica like any other.
class OwnerCore {
 public:
  // `segment` is open and in the chain (cas-first); `table` is true at its base.
  OwnerCore(PartitionId partition, Segment segment, ProducerTable table, OwnerOptions options,
            absl::Time now);

  // Opens the segment on its replicas, and sends what was appended to as many as an acknowledgement
  // takes: those that are furthest (decision 31). One call after a run of appends makes one message
  // of them. The others stand in out.rest and want MirrorTo soon.
  void Mirror(absl::Time now, OwnerOutput& out);
  void MirrorTo(const NodeId& replica, absl::Time now, OwnerOutput& out);
  void MirrorToAll(absl::Time now, OwnerOutput& out);
  void Append(Block block, Ticket ticket, absl::Time now, OwnerOutput& out);
  void OnMirrorReply(const NodeId& from, const MirrorReply& reply, absl::Time now,
                     OwnerOutput& out);
  // Blocks read for a catch-up. `start` and `snapshot` where the store begins after the offset that
  // was asked for.
  void OnCatchUp(const NodeId& to, std::optional<std::pair<Offset, std::string>> reopen,
                 std::vector<StoredBlock> blocks, absl::Time now, OwnerOutput& out);
  void OnTick(absl::Time now, OwnerOutput& out);
  // The replica came back: send to it again at once.
  void OnPeerBack(const NodeId& node, absl::Time now, OwnerOutput& out);
  void SetTrimFloor(Offset floor, absl::Time now, OwnerOutput& out);
  // Of the segments opened from now on.
  void SetSnapshotFormat(int format) { options_.snapshot_format = format; }
  // Of a block in the log that was taken in without one.
  void SetDigest(const BlockStamp& stamp, Offset first, uint32_t digest) {
    table_.SetDigest(stamp, first, digest);
    committed_table_.SetDigest(stamp, first, digest);
  }

  // From now until FinishRoll or AbortRoll nothing is committed (roll-freezes); the swap seals the
  // segment at committed(). Appends are taken in and wait.
  void BeginRoll() { rolling_ = true; }
  // The swap is in the chain: `segment` is the new open one, based at committed(). What is in
  // flight moves to it, at the same offsets.
  void FinishRoll(Segment segment, absl::Time now, OwnerOutput& out);
  // The chain surely does not hold the swap and never will.
  void AbortRoll(absl::Time now, OwnerOutput& out);

  // The partition has been taken over, and `chain` names the new owner: every append that waits
  // gets its result (settle-own-segment). The owner is done afterwards.
  void Settle(const Chain& chain, OwnerOutput& out);

  const Segment& segment() const { return segment_; }
  bool rolling() const { return rolling_; }
  Offset committed() const { return committed_; }
  // Committed, and in the owner's own store.
  Offset readable() const;
  Offset trim_floor() const { return trim_floor_; }
  Offset next() const { return next_; }
  OwnerReach reach() const;
  uint64_t segment_bytes() const { return segment_bytes_; }
  absl::Time opened_at() const { return opened_at_; }
  bool Idle() const { return entries_.empty() && held_.empty() && !rolling_ && AllCaughtUp(); }
  // The open snapshot is durable on an ack quorum, so earlier segments may leave the chain.
  bool OpenedOnQuorum() const;
  // Replicas that hold all that was committed one or two ticks ago (what is younger may be on its
  // way to them), and those that say they are in limbo.
  std::vector<NodeId> InSync() const;
  bool HasLimboReplica() const;

 private:
  // An append that is acknowledged once the entry it waits for is committed.
  struct Waiter {
    Ticket ticket;
    Offset offset;      // of its first event
    bool known = true;  // false: a repeat of something at or before the entry, not known where
  };
  struct Entry {
    Offset end;
    Block block;
    std::vector<Waiter> waiters;
  };
  // A refusal reads the producers' table, which is true only of an owner (refusal-confirmed): it is
  // told once an ack quorum has answered a question asked after the append came.
  struct Held {
    Ticket ticket;
    AppendResult refusal;
    uint64_t round;  // that confirms it
    absl::Time since;
  };
  struct Progress {
    Offset tail;  // durable there, at this epoch
    Offset sent;  // sent up to here
    // End and bytes of what was sent. Mostly empty, and then a deque takes 600 bytes.
    std::list<std::pair<Offset, size_t>> in_flight;
    size_t in_flight_bytes = 0;
    bool open_sent = false;  // since the last resend
    bool opened = false;     // it said that it has the segment
    bool reading = false;    // a catch-up read is under way
    bool limbo = false;
    absl::Time last_news;   // last progress or resend
    int silent_rounds = 0;  // resends without news
    Offset told_floor;
    uint64_t round = 0;  // the last that it answered
  };

  // owner_append.cc
  // Acknowledges a repeat once everything below `stored_to` is committed (repeat-waits).
  void AcknowledgeAt(Offset stored_to, const Waiter& waiter, OwnerOutput& out);
  std::optional<AppendResult> Refusal(const Block& block, const ProducerVerdict& verdict) const;

  void Hold(Ticket ticket, AppendResult refusal, absl::Time now, OwnerOutput& out);
  bool Asks() const { return round_ > confirmed_round_; }
  void Ask(absl::Time now, OwnerOutput& out);
  void OnRoundAnswered(absl::Time now, OwnerOutput& out);
  void RemindRound(absl::Time now, OwnerOutput& out);

  void Restart(absl::Time now);
  ReplicaMask Prompt() const;
  bool RestIsLarge(const Progress& progress) const;
  void Pump(size_t index, absl::Time now, OwnerOutput& out);
  // `reopen`: where the replica is to begin instead of the segment's base, with its snapshot.
  void SendTo(size_t index, std::optional<std::pair<Offset, std::string>> reopen, Offset first,
              std::vector<Block> blocks, OwnerOutput& out);
  void Remind(absl::Time now, OwnerOutput& out);
  void Resend(size_t index, absl::Time now, OwnerOutput& out);
  void AdvanceCommitted(absl::Time now, OwnerOutput& out);
  void DropSettled();
  bool AllCaughtUp() const;
  AppendResult Acknowledged(const Waiter& waiter) const;
  AppendResult Settled(const Waiter& waiter, const Entry& entry, const Chain& chain) const;

  const PartitionId partition_;
  OwnerOptions options_;
  Segment segment_;
  std::vector<Progress> progress_;  // by index in segment_.replicas
  ProducerTable table_;             // with everything that has an offset
  ProducerTable committed_table_;   // with what is committed only
  std::string open_snapshot_;       // true at the segment's base
  // By first offset: not committed, or not yet held by a local replica.
  std::map<Offset, Entry> entries_;
  size_t entries_bytes_ = 0;
  std::deque<Held> held_;  // oldest first
  uint64_t round_ = 0;     // the last that was asked
  uint64_t confirmed_round_ = 0;
  absl::Time asked_at_;
  Offset next_;  // offset of the next block
  Offset committed_;
  Offset committed_at_tick_, committed_before_tick_;  // at the last tick, and the one before
  Offset trim_floor_;
  uint64_t segment_bytes_ = 0;
  absl::Time opened_at_;
  bool rolling_ = false;
};

}  // namespace forebay
