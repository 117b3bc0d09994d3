#include "replication/core/owner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "replication/core/quorum.h"

namespace forebay {
namespace {

// Blocks of one mirror message; larger ones hold up what comes behind them on the stream.
constexpr size_t kMessageBytesMax = 1 << 20;
constexpr size_t kMessageBlocksMax = 64;
// A replica that does not answer is tried again after resend_after, twice that, ... up to 2^4.
constexpr int kSilentRoundsMax = 4;
// More than this does not wait for MirrorTo.
constexpr size_t kRestBytesMax = 64 << 10;

}  // namespace

OwnerCore::OwnerCore(PartitionId partition, Segment segment, ProducerTable table,
                     OwnerOptions options, absl::Time now)
    : partition_(std::move(partition)),
      options_(options),
      segment_(std::move(segment)),
      table_(std::move(table)),
      next_(segment_.base),
      committed_(segment_.base),
      committed_at_tick_(segment_.base),
      committed_before_tick_(segment_.base) {
  table_.ForgetIdle(now, options_.forget_producer_after);
  committed_table_ = table_;
  Restart(now);
}

void OwnerCore::Restart(absl::Time now) {
  FOREBAY_CHECK(segment_.base == committed_, "a segment opens where the last one was sealed");
  committed_table_.ForgetIdle(now, options_.forget_producer_after);
  open_snapshot_ = committed_table_.Encode(options_.snapshot_format);
  progress_.assign(segment_.replicas.size(), Progress{});
  for (Progress& progress : progress_) {
    progress.tail = progress.sent = segment_.base;
    progress.last_news = now;
  }
  segment_bytes_ = 0;
  for (const auto& [first, entry] : entries_) {
    if (first >= segment_.base) segment_bytes_ += entry.block.bytes().size();
  }
  opened_at_ = now;
}

void OwnerCore::OnMirrorReply(const NodeId& from, const MirrorReply& reply, absl::Time now,
                              OwnerOutput& out) {
  const int index = IndexOf(segment_.replicas, from);
  // ack-epoch: an answer about an earlier segment says nothing about this one.
  if (index < 0 || reply.segment.epoch != segment_.epoch) return;
  Progress& progress = progress_[static_cast<size_t>(index)];
  switch (reply.answer) {
    case ReplicaAnswer::kFenced:
      if (reply.fence > segment_.epoch) out.fenced = reply.fence;
      return;
    case ReplicaAnswer::kLimbo:
      progress.limbo = true;
      return;
    case ReplicaAnswer::kFailed:
      return;  // asked again on tick
    case ReplicaAnswer::kNotOpen:
      progress.opened = progress.open_sent = false;  // sent anew on tick
      return;
    case ReplicaAnswer::kHolds:
    case ReplicaAnswer::kFull:
      break;
  }
  if (!progress.opened || reply.tail > progress.tail) {
    progress.last_news = now;
    progress.silent_rounds = 0;
  }
  progress.opened = true;
  // Beyond `next_` only when the answer is older than this core; never count what was not sent.
  progress.tail = std::max(progress.tail, std::min(reply.tail, next_));
  progress.sent = std::max(progress.sent, progress.tail);
  while (!progress.in_flight.empty() && progress.in_flight.front().first <= progress.tail) {
    progress.in_flight_bytes -= progress.in_flight.front().second;
    progress.in_flight.pop_front();
  }
  AdvanceCommitted(now, out);
  if (reply.round > progress.round) {
    progress.round = reply.round;
    OnRoundAnswered(now, out);
  }
  if (reply.answer == ReplicaAnswer::kFull) {
    progress.silent_rounds = kSilentRoundsMax;  // it takes blocks again only once it has room
  } else {
    Mirror(now, out);
  }
}

void OwnerCore::AdvanceCommitted(absl::Time now, OwnerOutput& out) {
  if (rolling_) return;  // roll-freezes
  std::vector<Offset> tails;
  for (const Progress& progress : progress_) tails.push_back(progress.tail);
  const auto reached = HighestAckedOffset(segment_.rule, segment_.replicas, tails);
  if (reached.has_value() && *reached > committed_) {
    for (auto at = entries_.lower_bound(committed_); at != entries_.end(); ++at) {
      auto& [first, entry] = *at;
      if (entry.end > *reached) break;
      committed_table_.Apply(entry.block, first);
      committed_table_.Touch(entry.block.stamp().producer, now);
      for (const Waiter& waiter : entry.waiters) {
        out.results.emplace_back(waiter.ticket, Acknowledged(waiter));
      }
      entry.waiters.clear();
      committed_ = entry.end;
    }
  }
  DropSettled();
  out.readable_more = true;
}

Offset OwnerCore::readable() const {
  const int self = IndexOf(segment_.replicas, segment_.owner);
  return self < 0 ? committed_ : std::min(committed_, progress_[static_cast<size_t>(self)].tail);
}

// A block stays in memory until it is committed and the owner's own store can serve it.
void OwnerCore::DropSettled() {
  while (!entries_.empty() && entries_.begin()->second.end <= readable()) {
    entries_bytes_ -= entries_.begin()->second.block.bytes().size();
    entries_.erase(entries_.begin());
  }
}

// The furthest, the owner's own first among equals, until they are an ack quorum; all when what is
// well is none. A replica that stalls is thus overtaken by one that had to wait.
ReplicaMask OwnerCore::Prompt() const {
  const size_t count = progress_.size();
  std::vector<size_t> order;
  const int self = std::max(IndexOf(segment_.replicas, segment_.owner), 0);
  for (size_t i = 0; i < count; i++) order.push_back((static_cast<size_t>(self) + i) % count);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return progress_[a].tail > progress_[b].tail; });
  ReplicaMask prompt = 0;
  for (const size_t i : order) {
    const Progress& progress = progress_[i];
    if (!progress.opened || progress.limbo || progress.silent_rounds > 0) continue;
    prompt |= ReplicaMask{1} << i;
    if (IsAckQuorum(segment_.rule, segment_.replicas, prompt)) return prompt;
  }
  return AllOf(segment_.replicas);
}

bool OwnerCore::RestIsLarge(const Progress& progress) const {
  size_t bytes = 0;
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (entry->first < progress.sent) return false;
    bytes += entry->second.block.bytes().size();
    if (bytes >= kRestBytesMax) return true;
  }
  return false;
}

void OwnerCore::Mirror(absl::Time now, OwnerOutput& out) {
  const ReplicaMask prompt = Prompt();
  for (size_t i = 0; i < progress_.size(); i++) {
    const Progress& progress = progress_[i];
    if ((prompt >> i & 1) != 0 || !progress.opened || RestIsLarge(progress)) {
      Pump(i, now, out);
    } else if (progress.sent < next_) {
      out.rest.push_back(segment_.replicas[i].node);
    }
  }
}

void OwnerCore::MirrorTo(const NodeId& replica, absl::Time now, OwnerOutput& out) {
  const int index = IndexOf(segment_.replicas, replica);
  if (index >= 0) Pump(static_cast<size_t>(index), now, out);
}

void OwnerCore::MirrorToAll(absl::Time now, OwnerOutput& out) {
  for (size_t i = 0; i < progress_.size(); i++) Pump(i, now, out);
}

void OwnerCore::Pump(size_t index, absl::Time now, OwnerOutput& out) {
  Progress& progress = progress_[index];
  if (rolling_ || progress.limbo || progress.reading) return;
  if (progress.sent == next_) {
    if (progress.opened || progress.open_sent) return;
    progress.last_news = now;
    SendTo(index, std::nullopt, progress.sent, {}, out);
    return;
  }
  if (progress.in_flight.empty()) progress.last_news = now;
  while (progress.sent < next_ && progress.in_flight_bytes < options_.mirror_window_bytes) {
    if (entries_.empty() || progress.sent < entries_.begin()->first) {
      progress.reading = true;
      out.catch_ups.emplace_back(segment_.replicas[index].node, progress.sent);
      return;
    }
    auto at = entries_.lower_bound(progress.sent);
    const Offset first = progress.sent;
    std::vector<Block> blocks;
    size_t bytes = 0;
    for (; at != entries_.end() && blocks.size() < kMessageBlocksMax && bytes < kMessageBytesMax;
         ++at) {
      bytes += at->second.block.bytes().size();
      blocks.push_back(at->second.block);
    }
    if (blocks.empty()) return;  // it said that it ends inside a block: no replica of ours does
    SendTo(index, std::nullopt, first, std::move(blocks), out);
  }
}

void OwnerCore::SendTo(size_t index, std::optional<std::pair<Offset, std::string>> reopen,
                       Offset first, std::vector<Block> blocks, OwnerOutput& out) {
  Progress& progress = progress_[index];
  MirrorRequest request;
  request.segment = {partition_, segment_.epoch};
  request.incarnation = segment_.replicas[index].incarnation;
  request.base = segment_.base;
  if (reopen.has_value()) {
    request.base = reopen->first;
    request.open_snapshot = std::move(reopen->second);
  } else if (!progress.opened && !progress.open_sent) {
    request.open_snapshot = open_snapshot_;
  }
  progress.open_sent = true;
  request.first = first;
  request.committed = committed_;
  request.trim_floor = progress.told_floor = trim_floor_;
  request.round = Asks() ? round_ : 0;
  for (const Block& block : blocks) {
    first = first + block.event_count();
    progress.in_flight.emplace_back(first, block.bytes().size());
    progress.in_flight_bytes += block.bytes().size();
  }
  progress.sent = std::max(progress.sent, first);
  request.blocks = std::move(blocks);
  out.outbox.Send(segment_.replicas[index].node, std::move(request));
}

void OwnerCore::Resend(size_t index, absl::Time now, OwnerOutput& out) {
  Progress& progress = progress_[index];
  progress.sent = progress.tail;
  progress.in_flight.clear();
  progress.in_flight_bytes = 0;
  progress.last_news = now;
  progress.open_sent = false;
  progress.silent_rounds = std::min(progress.silent_rounds + 1, kSilentRoundsMax);
  Pump(index, now, out);
}

void OwnerCore::OnCatchUp(const NodeId& to, std::optional<std::pair<Offset, std::string>> reopen,
                          std::vector<StoredBlock> blocks, absl::Time now, OwnerOutput& out) {
  const int index = IndexOf(segment_.replicas, to);
  if (index < 0) return;
  Progress& progress = progress_[static_cast<size_t>(index)];
  progress.reading = false;
  if (rolling_) return;
  if (reopen.has_value() && reopen->first > progress.sent) progress.sent = reopen->first;
  std::vector<Block> run;
  Offset expected = progress.sent;
  for (StoredBlock& stored : blocks) {
    if (stored.first != expected) break;
    expected = stored.end();
    run.push_back(std::move(stored.block));
  }
  if (run.empty() && !reopen.has_value()) return;  // could not be read; asked again on tick
  SendTo(static_cast<size_t>(index), std::move(reopen), progress.sent, std::move(run), out);
  Pump(static_cast<size_t>(index), now, out);
}

void OwnerCore::OnTick(absl::Time now, OwnerOutput& out) {
  committed_before_tick_ = std::exchange(committed_at_tick_, committed_);
  RemindRound(now, out);
  Remind(now, out);
}

// Sends again what was not answered, and tells the trim floor.
void OwnerCore::Remind(absl::Time now, OwnerOutput& out) {
  if (rolling_) return;
  for (size_t i = 0; i < progress_.size(); i++) {
    Progress& progress = progress_[i];
    const bool waits = progress.tail < next_ || !progress.opened;
    const absl::Duration patience = options_.resend_after * (1 << progress.silent_rounds);
    if (waits && !progress.limbo && !progress.reading && now - progress.last_news > patience) {
      Resend(i, now, out);
    } else if (!waits && progress.told_floor < trim_floor_) {
      SendTo(i, std::nullopt, progress.sent, {}, out);
    }
  }
}

void OwnerCore::OnPeerBack(const NodeId& node, absl::Time now, OwnerOutput& out) {
  const int index = IndexOf(segment_.replicas, node);
  if (index < 0 || rolling_) return;
  Progress& progress = progress_[static_cast<size_t>(index)];
  progress.silent_rounds = 0;
  if (progress.tail < next_ || !progress.opened) Resend(static_cast<size_t>(index), now, out);
}

void OwnerCore::SetTrimFloor(Offset floor, absl::Time now, OwnerOutput& out) {
  FOREBAY_CHECK(floor <= committed_, "nothing is trimmed that is not committed");
  trim_floor_ = std::max(trim_floor_, floor);
  Remind(now, out);
}

void OwnerCore::FinishRoll(Segment segment, absl::Time now, OwnerOutput& out) {
  FOREBAY_CHECK(rolling_, "a roll finishes that did not begin");
  rolling_ = false;
  segment_ = std::move(segment);
  Restart(now);
  Mirror(now, out);
  if (Asks()) Ask(now, out);
}

void OwnerCore::AbortRoll(absl::Time now, OwnerOutput& out) {
  rolling_ = false;
  AdvanceCommitted(now, out);
  Mirror(now, out);
}

bool OwnerCore::AllCaughtUp() const {
  return std::all_of(progress_.begin(), progress_.end(), [&](const Progress& progress) {
    return progress.limbo ||
           (progress.opened && progress.tail == next_ && progress.told_floor == trim_floor_);
  });
}

bool OwnerCore::OpenedOnQuorum() const {
  ReplicaMask opened = 0;
  for (size_t i = 0; i < progress_.size(); i++) {
    if (progress_[i].opened) opened |= ReplicaMask{1} << i;
  }
  return IsAckQuorum(segment_.rule, segment_.replicas, opened);
}

std::vector<NodeId> OwnerCore::InSync() const {
  std::vector<NodeId> nodes;
  for (size_t i = 0; i < progress_.size(); i++) {
    const Progress& progress = progress_[i];
    if (progress.opened && !progress.limbo && progress.tail >= committed_before_tick_) {
      nodes.push_back(segment_.replicas[i].node);
    }
  }
  return nodes;
}

bool OwnerCore::HasLimboReplica() const {
  return std::any_of(progress_.begin(), progress_.end(),
                     [](const Progress& progress) { return progress.limbo; });
}

}  // namespace forebay
