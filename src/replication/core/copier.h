// SegmentCopier and TableLoader: reading a segment from any node that has it, for a takeover or a
// repair. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "records/records.h"
#include "replication/core/message.h"
#include "replication/core/outbox.h"
#include "replication/core/producer_table.h"

namespace forebay {

// Which content is to be held, and under which authority.
struct CopyTask {
  SegmentKey segment;
  Offset base;
  Offset end;                  // nothing at or beyond it is copied
  Epoch fence;                 // the target refuses lower epochs before it counts
  uint64_t chain_version = 0;  // that the task was decided on
  // The target must have opened the segment even if it is empty: for its snapshot.
  bool with_snapshot = false;
};

// Makes one node hold a segment up to its end. Confined to one executor.
class SegmentCopier {
 public:
  enum class State { kRunning, kHolds, kFenced };

  // `sources` hold the segment up to its end, best first. `request` is a number of which the low 32
  // bits are this copier's to use.
  SegmentCopier(CopyTask task, Replica target, std::vector<NodeId> sources, uint64_t request);

  void Start(absl::Time now, Outbox& out);
  void OnCopyReply(const NodeId& from, const CopyReply& reply, absl::Time now, Outbox& out);
  void OnFetchReply(const NodeId& from, const FetchReply& reply, absl::Time now, Outbox& out);
  void OnTick(absl::Time now, Outbox& out);

  State state() const { return state_; }
  const CopyTask& task() const { return task_; }
  const Replica& target() const { return target_; }
  // The last source that could not serve the segment, since this was last asked.
  std::optional<NodeId> TakeFailedSource();
  Epoch higher_fence() const { return higher_; }

 private:
  void Ask(std::optional<std::string> snapshot, Offset first, std::vector<Block> blocks,
           absl::Time now, Outbox& out);
  void Fetch(absl::Time now, Outbox& out);
  void NextSource(absl::Time now, Outbox& out);

  const CopyTask task_;
  const Replica target_;
  std::vector<NodeId> sources_;  // the front one is in use
  uint64_t request_;
  State state_ = State::kRunning;
  std::optional<Offset> tail_;       // of the target; nothing while it has no such segment
  std::optional<Offset> pushed_at_;  // the target's tail when blocks were last sent
  bool fetching_ = false;
  absl::Time last_news_;
  std::optional<NodeId> failed_source_;
  Epoch higher_;
};

// Loads the producers' table that is true at the end of a segment: its snapshot, and the blocks
// from there. Blocks at or beyond the end do not count (dedup-cut). Confined to one executor.
class TableLoader {
 public:
  TableLoader(SegmentKey segment, Offset end, std::vector<NodeId> sources, uint64_t request);

  void Start(absl::Time now, Outbox& out);
  void OnFetchReply(const NodeId& from, const FetchReply& reply, absl::Time now, Outbox& out);
  void OnTick(absl::Time now, Outbox& out);

  bool done() const { return done_; }
  const ProducerTable& table() const { return table_; }
  // The last blocks that were read, a bounded number of bytes: nobody has decoded them yet.
  std::vector<StoredBlock> TakeRecent();

 private:
  void Fetch(absl::Time now, Outbox& out);
  void NextSource(absl::Time now, Outbox& out);
  // With another source, from the snapshot on.
  void StartOver(absl::Time now, Outbox& out);

  const SegmentKey segment_;
  const Offset end_;
  std::vector<NodeId> sources_;
  uint64_t request_;
  ProducerTable table_;
  std::deque<StoredBlock> recent_;
  size_t recent_bytes_ = 0;
  std::optional<Offset> next_;  // nothing before the snapshot is there
  bool done_ = false;
  absl::Time last_news_;
};

}  // namespace forebay
