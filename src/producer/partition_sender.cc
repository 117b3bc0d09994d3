#include "producer/partition_sender.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "runtime/log.h"

namespace forebay {
namespace {

// An owner that is of no use for so long is in trouble: a client that cannot reach the owner for
// 300 ms asks the next replica to take over (docs/design/protocol.md#liveness).
constexpr absl::Duration kTroubleAfter = absl::Milliseconds(300);
// Unless it is of use to other partitions: then it only has more to do than it can
// (busy-is-not-gone).
constexpr absl::Duration kBusyTroubleAfter = absl::Seconds(3);
// So many partitions of a producer ask in that time, and each less often every time: an owner of
// thousands may only be busy, and when it is gone its peers know soon by themselves.
constexpr int kAsksAtOnceMax = 64;
constexpr int kAskAgainDoublings = 4;
// So often in a row nobody was at the owner's address: then there is no need to wait that long.
constexpr int kUnreachableMax = 2;
// Without any answer, and without news of another owner: messages may be lost without a trace.
// Doubles each time, as it may also be the load that takes long.
constexpr absl::Duration kSendAgainAfter = absl::Seconds(1);
constexpr int kSendAgainDoublings = 4;
constexpr absl::Duration kSayEvery = absl::Seconds(10);
constexpr absl::Duration kBackoffMin = absl::Milliseconds(5);
constexpr int kBackoffDoublings = 5;  // up to 160 ms
// A sequence is refused for good only after that many owners' answers in a row, because an owner
// may have heard too little yet.
constexpr int kSequenceRefusalsMax = 3;
// With so many blocks on their way it is their number that the owners are busy with, not their
// bytes. Then a batch waits for more events, half as long as it takes to be acknowledged, but no
// longer than owners are given.
constexpr size_t kManyBlocks = 64;
constexpr absl::Duration kLingerMax = absl::Milliseconds(250);
// Owners forget an idle producer after 24 h. Well before that it becomes a new one.
constexpr absl::Duration kNewRunAfterIdle = absl::Hours(12);

AppendResult NotStored(absl::Status status) {
  return {.outcome = Outcome::kNotStored, .status = std::move(status)};
}

}  // namespace

PartitionSender::PartitionSender(SenderContext& context, PartitionId partition)
    : context_(context),
      partition_(std::move(partition)),
      window_(Producer::kWindowBlocks),
      producer_epoch_(context.batch.producer_epoch) {}

Task PartitionSender::Guarded(absl::AnyInvocable<void()> task) {
  return [alive = std::weak_ptr<bool>(alive_), task = std::move(task)]() mutable {
    if (!alive.expired()) task();
  };
}

bool PartitionSender::well(absl::Time now) const {
  return !route_.owner.empty() && failures_ == 0 && broken_.ok() && !Quiet(kTroubleAfter, now);
}

bool PartitionSender::InTrouble(absl::Time now) const {
  if (!Quiet(kTroubleAfter, now)) return false;
  const auto useful = context_.useful_at.find(route_.owner);
  const bool busy = useful != context_.useful_at.end() && now - useful->second < kTroubleAfter;
  return !busy || Quiet(kBusyTroubleAfter, now);
}

void PartitionSender::Add(AppendItem item, absl::Time now) {
  const size_t bytes = EncodedBytes(item.event);
  if (Idle()) quiet_since_ = now;
  const bool fits = !batches_.empty() &&
                    batches_.back().bytes + bytes <= context_.batch.block_bytes_max &&
                    batches_.back().events.size() < EventLimits::kBlockEventsMax;
  if (!fits) batches_.emplace_back().since = now;
  Batch& batch = batches_.back();
  batch.waiting.push_back({.done = std::move(item.done),
                           .taken = now,
                           .memory_bytes = Producer::MemoryBytes(item.event)});
  batch.events.push_back(std::move(item.event));
  batch.bytes += bytes;
  batch_bytes_ += bytes;
  taken_++;
}

void PartitionSender::Hurry() {
  hurry_until_ = taken_;
  Pump();
}

bool PartitionSender::BatchMayLeave() const {
  if (batches_.size() > 1 || full()) return true;
  // Little is on its way: waiting would only cost time.
  if (blocks_.empty() && context_.blocks < kManyBlocks) return true;
  const Batch& batch = batches_.front();
  return taken_ - batch.events.size() < hurry_until_ ||
         context_.clock.Now() - batch.since >= Linger();
}

absl::Duration PartitionSender::Linger() const {
  if (context_.blocks < kManyBlocks) return context_.batch.linger;
  return std::max(context_.batch.linger, std::min(context_.ack_time / 2, kLingerMax));
}

void PartitionSender::Pump() {
  if (!broken_.ok()) return FailBatches(broken_);
  if (Idle()) return;
  if (route_.owner.empty()) return context_.refresh_routes();
  if (context_.clock.Now() < resume_at_) return;
  const auto window = static_cast<size_t>(window_);
  while (true) {
    while (next_to_send_ < std::min(blocks_.size(), window)) {
      Sent& sent = blocks_[next_to_send_++];
      if (!sent.settled) Send(sent);
    }
    if (blocks_.size() >= window || batches_.empty()) return;
    if (!BatchMayLeave()) return ArmLinger();
    Seal();
  }
}

void PartitionSender::ArmLinger() {
  if (linger_armed_) return;
  linger_armed_ = true;
  const absl::Time due = batches_.front().since + Linger();
  context_.executor.PostAfter(std::max(due - context_.clock.Now(), absl::ZeroDuration()),
                              Guarded([this] {
                                linger_armed_ = false;
                                Pump();
                              }));
}

void PartitionSender::Seal() {
  Batch batch = std::move(batches_.front());
  batches_.pop_front();
  batch_bytes_ -= batch.bytes;
  const absl::Time now = context_.clock.Now();
  context_.counters.until_sealed.Add(now - batch.since);
  if (context_.drawn && blocks_.empty() && now - last_settled_ >= kNewRunAfterIdle) StartNewRun();
  absl::StatusOr<Block> block = EncodeBlock({.producer = context_.producer,
                                             .producer_epoch = producer_epoch_,
                                             .first_sequence = next_sequence_},
                                            batch.events, context_.codec);
  FOREBAY_CHECK(block.ok(), std::string(block.status().message()));
  next_sequence_ += batch.events.size();
  if (blocks_.empty()) quiet_since_ = now;  // what lingered was not sent to the owner
  context_.blocks++;
  blocks_.push_back(Sent{.number = next_number_++,
                         .sealed = now,
                         .block = *std::move(block),
                         .waiting = std::move(batch.waiting)});
}

void PartitionSender::Send(Sent& sent) {
  (sent.attempts.begun() == 0 ? context_.counters.blocks_sent : context_.counters.blocks_retried)++;
  sent.attempts.Begin();
  sent.generation = generation_;
  context_.link.SendBlock(route_.owner, partition_, sent.block,
                          [this, alive = std::weak_ptr<bool>(alive_), node = route_.owner,
                           number = sent.number, generation = generation_](AppendResult result) {
                            if (alive.expired()) return;
                            OnAnswer(node, number, generation, std::move(result));
                          });
}

void PartitionSender::OnAnswer(const NodeId& node, uint64_t number, uint64_t generation,
                               AppendResult result) {
  if (result.outcome == Outcome::kAcknowledged || absl::IsResourceExhausted(result.status)) {
    context_.useful_at[node] = context_.clock.Now();
  }
  const auto at = std::find_if(blocks_.begin(), blocks_.end(),
                               [&](const Sent& sent) { return sent.number == number; });
  if (at == blocks_.end() || at->settled) return;
  at->attempts.Answered(result.outcome);
  switch (result.outcome) {
    case Outcome::kAcknowledged:  // true whenever it comes, whoever says it
      OnAcknowledged(*at, std::move(result));
      return;
    case Outcome::kNotStored:
      if (generation != at->generation) return;
      return OnNotStored(static_cast<size_t>(at - blocks_.begin()), result.status);
    case Outcome::kUnknown:
      if (generation != at->generation) return;
      // Some of it is stored, or something else under its sequences: sent again it is told the
      // same.
      if (absl::IsFailedPrecondition(result.status)) return OnSequenceRefused(*at, result.status);
      NoteReach(result.status);
      context_.refresh_routes();
      Rewind(Backoff(result.status));
      return;
  }
}

void PartitionSender::OnAcknowledged(Sent& sent, AppendResult result) {
  failures_ = 0;
  unreachable_ = 0;
  unanswered_rounds_ = 0;
  sequence_refusals_ = 0;
  ask_next_ = 0;
  window_ = std::min(window_ + 1 / window_, double{Producer::kWindowBlocks});
  last_refusal_ = absl::OkStatus();
  quiet_since_ = last_settled_ = context_.clock.Now();
  sent.settled = true;
  // As TCP does, and only of blocks that were sent once (RFC 6298 sections 2 and 3).
  if (sent.attempts.begun() == 1) {
    context_.ack_time += (last_settled_ - sent.sealed - context_.ack_time) / 8;
  }
  std::vector<Waiting> waiting = std::exchange(sent.waiting, {});
  context_.counters.until_acknowledged.Add(last_settled_ - waiting.front().taken);
  while (!blocks_.empty() && blocks_.front().settled) {
    settled_ += blocks_.front().block.event_count();
    blocks_.pop_front();
    context_.blocks--;
    if (next_to_send_ > 0) next_to_send_--;
  }
  if (Idle()) quiet_since_ = absl::InfiniteFuture();
  Report(std::move(waiting), std::move(result));
  Pump();
}

void PartitionSender::OnNotStored(size_t index, const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kFailedPrecondition:
      return OnSequenceRefused(blocks_[index], status);
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      // No owner will ever take it, and without it those after it leave a gap.
      FailSealed(status);
      return Pump();
    case absl::StatusCode::kResourceExhausted:
      return OnBusy(index, status);
    default:
      last_refusal_ = status;
      NoteReach(status);
      context_.refresh_routes();
      return Rewind(Backoff(status));
  }
}

// The owner is alive and keeps what it took of the blocks before. To send all that again and again
// would take away what it is short of: fewer go at once, until it has answered for some (additive
// increase, multiplicative decrease, as TCP does: RFC 5681 section 3.1).
void PartitionSender::OnBusy(size_t index, const absl::Status& status) {
  quiet_since_ = context_.clock.Now();
  last_refusal_ = status;
  window_ = std::max(window_ / 2, 1.0);
  Rewind(Backoff(status), index);
}

void PartitionSender::OnSequenceRefused(const Sent& sent, const absl::Status& status) {
  quiet_since_ = context_.clock.Now();
  // Behind the oldest a gap only says that the blocks before it have not arrived there yet.
  const bool oldest = sent.number == blocks_.front().number;
  if (!oldest || ++sequence_refusals_ < kSequenceRefusalsMax) {
    context_.refresh_routes();
    return Rewind(Backoff(status));
  }
  // Nobody else can have fenced a drawn id: the owner has forgotten it. A given one is fenced.
  if (!context_.drawn)
    broken_ = WithContext(status, "producer cannot append to ", partition_.ToString());
  FailSealed(status);
  Pump();
}

void PartitionSender::Rewind(absl::Duration wait, size_t first) {
  generation_++;
  next_to_send_ = std::min(next_to_send_, first);
  for (size_t i = next_to_send_; i < blocks_.size(); i++) blocks_[i].generation = 0;
  sent_again_at_ = context_.clock.Now();
  resume_at_ = sent_again_at_ + wait;
  if (wait <= absl::ZeroDuration()) return Pump();
  context_.executor.PostAfter(wait, Guarded([this] { Pump(); }));
}

absl::Duration PartitionSender::Backoff(const absl::Status& status) {
  const absl::Duration wait =
      RetryAfter(status).value_or(kBackoffMin * (1 << std::min(failures_, kBackoffDoublings)));
  failures_++;
  return context_.random.Between(wait / 2, wait * 3 / 2);
}

bool PartitionSender::SetRoute(const Route& route) {
  if (route.owner.empty() || route.epoch < route_.epoch) return false;
  const absl::Time now = context_.clock.Now();
  const bool newer = route.epoch > route_.epoch;
  const bool moved = route.owner != route_.owner;
  route_ = route;
  if (moved || (newer && InTrouble(now))) {
    ask_next_ = 0;
    unreachable_ = 0;
    unanswered_rounds_ = 0;
    if (!Idle()) quiet_since_ = now;
    Rewind(absl::ZeroDuration());
  }
  return newer || moved;
}

void PartitionSender::Tick() {
  if (Idle()) return;
  GiveUpOld();
  if (Idle()) return;
  const absl::Time now = context_.clock.Now();
  SayWhatWaits(now);
  if (!broken_.ok() || !InTrouble(now)) return;
  context_.refresh_routes();
  AskToTakeOver();
  const absl::Duration patience = kSendAgainAfter * (1 << unanswered_rounds_);
  if (next_to_send_ > 0 && now - std::max(sent_again_at_, quiet_since_) >= patience) {
    unanswered_rounds_ = std::min(unanswered_rounds_ + 1, kSendAgainDoublings);
    Rewind(absl::ZeroDuration());
  }
}

// An owner that refuses says when to come again; a connection that breaks does not.
void PartitionSender::NoteReach(const absl::Status& status) {
  const bool nobody = absl::IsUnavailable(status) && !RetryAfter(status).has_value();
  unreachable_ = nobody ? unreachable_ + 1 : 0;
  if (unreachable_ >= kUnreachableMax) AskToTakeOver();
}

void PartitionSender::AskToTakeOver() {
  const absl::Time now = context_.clock.Now();
  const int rounds = std::clamp(static_cast<int>(ask_next_) - 1, 0, kAskAgainDoublings);
  if (now - asked_at_ < kTroubleAfter * (1 << rounds)) return;
  if (now - context_.asks_since >= kTroubleAfter) {
    context_.asks_since = now;
    context_.asks = 0;
  }
  if (context_.asks >= kAsksAtOnceMax) return;
  std::vector<NodeId> others = route_.replicas;
  std::erase(others, route_.owner);
  if (others.empty()) return;
  asked_at_ = now;
  context_.asks++;
  // All producers ask in the same order, so that two replicas seldom try at once.
  const NodeId& next = others[ask_next_++ % others.size()];
  context_.link.AskToTakeOver(next, partition_, route_.epoch,
                              [this, alive = std::weak_ptr<bool>(alive_)](absl::Status status) {
                                if (!alive.expired() && status.ok()) context_.refresh_routes();
                              });
}

void PartitionSender::GiveUpOld() {
  const absl::Duration limit = context_.batch.give_up_after;
  if (limit == absl::InfiniteDuration()) return;
  const absl::Time oldest = context_.clock.Now() - limit;
  const absl::Status status = GaveUp();
  if (!blocks_.empty() && blocks_.front().waiting.front().taken <= oldest) FailSealed(status);
  // A batch leaves whole, so its oldest event speaks for it.
  while (!batches_.empty() && batches_.front().waiting.front().taken <= oldest) {
    Batch batch = std::move(batches_.front());
    batches_.pop_front();
    batch_bytes_ -= batch.bytes;
    settled_ += batch.events.size();
    Report(std::move(batch.waiting), NotStored(status));
  }
  Pump();
}

void PartitionSender::SayWhatWaits(absl::Time now) {
  const auto& oldest = blocks_.empty() ? batches_.front().waiting : blocks_.front().waiting;
  const absl::Duration waited = now - oldest.front().taken;
  if (waited < kSayEvery || now - context_.said_at < kSayEvery) return;
  context_.said_at = now;
  Log(LogLevel::kWarning, absl::StrCat(partition_.ToString(), ": an event has waited for ",
                                       absl::FormatDuration(absl::Trunc(waited, absl::Seconds(1))),
                                       " for its acknowledgement, trying on", LastAnswer()));
}

std::string PartitionSender::LastAnswer() const {
  return absl::StrCat("; the last answer was: ",
                      last_refusal_.ok() ? "none" : last_refusal_.message());
}

// What stood in the way to the last is what the caller can do something about.
absl::Status PartitionSender::GaveUp() const {
  const std::string message =
      absl::StrCat(partition_.ToString(), ": no owner took it within give_up_after, ",
                   absl::FormatDuration(context_.batch.give_up_after), LastAnswer());
  absl::Status status = absl::IsResourceExhausted(last_refusal_)
                            ? absl::ResourceExhaustedError(message)
                            : absl::UnavailableError(message);
  const auto wait = RetryAfter(last_refusal_);
  return wait.has_value() ? WithRetryAfter(std::move(status), *wait) : status;
}

void PartitionSender::Close() {
  broken_ = absl::UnavailableError(
      absl::StrCat(partition_.ToString(), ": the producer was closed before the event was settled",
                   LastAnswer()));
  FailSealed(broken_);
  FailBatches(broken_);
}

void PartitionSender::FailSealed(const absl::Status& status) {
  std::deque<Sent> blocks = std::exchange(blocks_, {});
  context_.blocks -= blocks.size();
  StartNewRun();
  for (Sent& sent : blocks) {
    settled_ += sent.block.event_count();
    if (sent.settled) continue;
    Report(std::move(sent.waiting), sent.attempts.GiveUp(status));
  }
}

void PartitionSender::FailBatches(const absl::Status& status) {
  for (Batch& batch : std::exchange(batches_, {})) {
    batch_bytes_ -= batch.bytes;
    settled_ += batch.events.size();
    Report(std::move(batch.waiting), NotStored(status));
  }
}

// A higher epoch fences what is still on its way, so that nothing reported as not stored can be
// stored later, and needs no sequence that follows on the old one's.
void PartitionSender::StartNewRun() {
  producer_epoch_++;
  next_sequence_ = 0;
  generation_++;
  next_to_send_ = 0;
  failures_ = 0;
  sequence_refusals_ = 0;
  quiet_since_ = Idle() ? absl::InfiniteFuture() : context_.clock.Now();
}

void PartitionSender::Report(std::vector<Waiting> waiting, AppendResult result) {
  ProducerCounters& counters = context_.counters;
  switch (result.outcome) {
    case Outcome::kAcknowledged:
      counters.acknowledged_events += waiting.size();
      break;
    case Outcome::kNotStored:
      counters.not_stored_events += waiting.size();
      break;
    case Outcome::kUnknown:
      counters.unknown_events += waiting.size();
      break;
  }
  size_t bytes = 0;
  for (Waiting& each : waiting) {
    bytes += each.memory_bytes;
    each.done(result);
    if (result.offset_known) result.offset = result.offset + 1;
  }
  context_.settled(bytes);
}

}  // namespace forebay
