#include "replication/core/copier.h"

#include <algorithm>
#include <utility>

namespace forebay {
namespace {

constexpr uint64_t kFetchBytesMax = 1 << 20;
// A node may take hundreds of partitions over at once.
constexpr size_t kRecentBytesMax = 1 << 20;
// A peer that has not answered for this long is asked again, or another one is.
constexpr absl::Duration kPatience = absl::Milliseconds(300);
// A target whose disk is full is asked that much later whether it has room again.
constexpr absl::Duration kPatienceWhenFull = absl::Seconds(3);

void Rotate(std::vector<NodeId>& sources) {
  if (!sources.empty()) std::rotate(sources.begin(), sources.begin() + 1, sources.end());
}

}  // namespace

SegmentCopier::SegmentCopier(CopyTask task, Replica target, std::vector<NodeId> sources,
                             uint64_t request)
    : task_(std::move(task)),
      target_(std::move(target)),
      sources_(std::move(sources)),
      request_(request) {}

void SegmentCopier::Start(absl::Time now, Outbox& out) {
  Ask(std::nullopt, task_.end, {}, now, out);
}

void SegmentCopier::Ask(std::optional<std::string> snapshot, Offset first,
                        std::vector<Block> blocks, absl::Time now, Outbox& out) {
  fetching_ = false;
  last_news_ = now;
  pushed_at_ = blocks.empty() && !snapshot.has_value() ? std::nullopt : tail_;
  out.Send(target_.node,
           CopyRequest{task_.segment, target_.incarnation, task_.fence, task_.chain_version,
                       std::move(snapshot), first, std::move(blocks)});
}

void SegmentCopier::OnCopyReply(const NodeId& from, const CopyReply& reply, absl::Time now,
                                Outbox& out) {
  if (state_ != State::kRunning || from != target_.node || reply.segment != task_.segment ||
      reply.fence != task_.fence) {
    return;
  }
  // repair-version: what was said to an earlier request may have been deleted since.
  if (reply.chain_version != 0 && reply.chain_version != task_.chain_version) return;
  if (reply.answer == ReplicaAnswer::kFenced) {
    state_ = State::kFenced;
    higher_ = reply.higher;
    return;
  }
  if (reply.answer == ReplicaAnswer::kFull) {
    fetching_ = false;
    last_news_ = now + kPatienceWhenFull - kPatience;
    return;
  }
  const bool not_open = reply.answer == ReplicaAnswer::kNotOpen;
  const bool holds = reply.answer == ReplicaAnswer::kHolds;
  if (!holds && !not_open) return;  // limbo or failed: it may come back as another incarnation
  if ((holds && reply.extent.tail >= task_.end) ||
      (not_open && task_.end == task_.base && !task_.with_snapshot)) {
    state_ = State::kHolds;
    return;
  }
  const auto tail = holds ? std::optional(reply.extent.tail) : std::nullopt;
  if (fetching_ && tail == tail_) return;  // an answer that was repeated
  // What was sent did not help, or this is an old answer: not again at once.
  if (tail.has_value() && tail == pushed_at_) return;
  tail_ = tail;
  Fetch(now, out);
}

void SegmentCopier::Fetch(absl::Time now, Outbox& out) {
  if (sources_.empty()) return;
  fetching_ = true;
  last_news_ = now;
  out.Send(sources_.front(),
           FetchRequest{++request_, task_.segment, tail_.value_or(Offset()), kFetchBytesMax, true});
}

void SegmentCopier::OnFetchReply(const NodeId&, const FetchReply& reply, absl::Time now,
                                 Outbox& out) {
  if (state_ != State::kRunning || !fetching_ || reply.request != request_) return;
  if (reply.answer != FetchAnswer::kHave) {
    NextSource(now, out);
    return;
  }
  // Blocks that the source has trimmed have reached every sink: the target begins where it does.
  const bool reopen = !tail_.has_value() || reply.extent.start > *tail_;
  const Offset first = reopen ? reply.extent.start : *tail_;
  std::vector<Block> run;
  Offset expected = first;
  for (const StoredBlock& stored : reply.blocks) {
    if (stored.first != expected || stored.first >= task_.end) break;
    expected = stored.end();
    run.push_back(stored.block);
  }
  if ((reopen && !reply.snapshot.has_value()) || (!reopen && run.empty())) {
    NextSource(now, out);
    return;
  }
  Ask(reopen ? reply.snapshot : std::nullopt, first, std::move(run), now, out);
}

void SegmentCopier::OnTick(absl::Time now, Outbox& out) {
  if (state_ != State::kRunning || now - last_news_ < kPatience) return;
  if (fetching_) {
    NextSource(now, out);
  } else {
    pushed_at_.reset();
    Ask(std::nullopt, task_.end, {}, now, out);
  }
}

void SegmentCopier::NextSource(absl::Time now, Outbox& out) {
  if (!sources_.empty()) failed_source_ = sources_.front();
  Rotate(sources_);
  // Asked again after a while: a source in trouble must not be asked in a tight circle.
  fetching_ = false;
  last_news_ = now;
  if (sources_.size() > 1) Fetch(now, out);
}

std::optional<NodeId> SegmentCopier::TakeFailedSource() {
  return std::exchange(failed_source_, std::nullopt);
}

TableLoader::TableLoader(SegmentKey segment, Offset end, std::vector<NodeId> sources,
                         uint64_t request)
    : segment_(std::move(segment)), end_(end), sources_(std::move(sources)), request_(request) {}

void TableLoader::Start(absl::Time now, Outbox& out) { Fetch(now, out); }

void TableLoader::Fetch(absl::Time now, Outbox& out) {
  last_news_ = now;
  if (sources_.empty()) return;
  out.Send(sources_.front(), FetchRequest{++request_, segment_, next_.value_or(Offset()),
                                          kFetchBytesMax, !next_.has_value()});
}

void TableLoader::OnFetchReply(const NodeId&, const FetchReply& reply, absl::Time now,
                               Outbox& out) {
  if (done_ || reply.request != request_) return;
  if (reply.answer != FetchAnswer::kHave) {
    NextSource(now, out);
    return;
  }
  if (!next_.has_value()) {
    auto table = ProducerTable::Decode(reply.snapshot.value_or(""));
    if (!reply.snapshot.has_value() || !table.ok() || reply.extent.start > end_) {
      NextSource(now, out);
      return;
    }
    table_ = *std::move(table);
    TakeRecent();  // of a source that failed half-way
    next_ = reply.extent.start;
  }
  const Offset before = *next_;
  for (const StoredBlock& stored : reply.blocks) {
    if (stored.first != *next_ || stored.first >= end_) break;
    table_.Apply(stored.block, stored.first);
    recent_bytes_ += stored.block.bytes().size();
    recent_.push_back(stored);
    while (recent_bytes_ > kRecentBytesMax) {
      recent_bytes_ -= recent_.front().block.bytes().size();
      recent_.pop_front();
    }
    next_ = stored.end();
  }
  done_ = *next_ >= end_;
  if (done_) return;
  if (*next_ == before) {
    NextSource(now, out);  // it ends too early, or was trimmed meanwhile
  } else {
    Fetch(now, out);
  }
}

std::vector<StoredBlock> TableLoader::TakeRecent() {
  recent_bytes_ = 0;
  const std::deque<StoredBlock> recent = std::exchange(recent_, {});
  return {recent.begin(), recent.end()};
}

void TableLoader::OnTick(absl::Time now, Outbox& out) {
  if (!done_ && now - last_news_ >= kPatience) StartOver(now, out);
}

// A single source is asked again on the next tick that is due, not in a tight circle.
void TableLoader::NextSource(absl::Time now, Outbox& out) {
  if (sources_.size() >= 2) return StartOver(now, out);
  last_news_ = now;
  next_.reset();
}

void TableLoader::StartOver(absl::Time now, Outbox& out) {
  Rotate(sources_);
  next_.reset();
  Fetch(now, out);
}

}  // namespace forebay
