// OwnerCore: what an append is told, from its arrival to the end of its owner.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "replication/core/owner.h"

namespace forebay {
namespace {

constexpr absl::Duration kRetryHint = absl::Milliseconds(20);
// As long as a takeover takes, twice: by then an owner knows whether it is one.
constexpr absl::Duration kHeldLimit = absl::Seconds(2);

AppendResult NotStored(absl::Status status) {
  return {.outcome = Outcome::kNotStored, .status = std::move(status)};
}

AppendResult NotConfirmed(const PartitionId& partition, absl::Duration retry_after) {
  return NotStored(
      WithRetryAfter(absl::UnavailableError(absl::StrCat(
                         partition.ToString(),
                         ": this node cannot tell whether it is still the owner, and so not "
                         "what is stored: ask for the owner and send it there")),
                     retry_after));
}

}  // namespace

void OwnerCore::Append(Block block, Ticket ticket, absl::Time now, OwnerOutput& out) {
  using Kind = ProducerVerdict::Kind;
  const ProducerVerdict verdict = table_.Check(block);
  if (verdict.kind == Kind::kRepeat || verdict.kind == Kind::kStored) {
    const bool known = verdict.kind == Kind::kRepeat;
    table_.Touch(block.stamp().producer, now);
    return AcknowledgeAt(verdict.stored_to, {ticket, verdict.offset, known}, out);
  }
  if (auto refusal = Refusal(block, verdict)) {
    return Hold(ticket, *std::move(refusal), now, out);
  }
  if (entries_bytes_ + block.bytes().size() > options_.window_bytes && !entries_.empty()) {
    out.results.emplace_back(
        ticket, NotStored(WithRetryAfter(
                    absl::ResourceExhaustedError(absl::StrCat(
                        partition_.ToString(), " has ", entries_bytes_,
                        " bytes waiting to be committed, window_bytes is ", options_.window_bytes)),
                    kRetryHint)));
    return;
  }
  table_.Apply(block, next_);
  table_.Touch(block.stamp().producer, now);
  entries_bytes_ += block.bytes().size();
  segment_bytes_ += block.bytes().size();
  const Offset end = next_ + block.event_count();
  entries_.emplace_hint(entries_.end(), next_, Entry{end, std::move(block), {{ticket, next_}}});
  next_ = end;
}

// One question at a time: refusals that come meanwhile wait for the next, so that many cost one.
void OwnerCore::Hold(Ticket ticket, AppendResult refusal, absl::Time now, OwnerOutput& out) {
  if (held_.size() >= options_.held_max) {
    out.results.emplace_back(ticket, NotConfirmed(partition_, kRetryHint));
    return;
  }
  held_.push_back({ticket, std::move(refusal), round_ + 1, now});
  if (Asks()) return;
  round_++;
  Ask(now, out);
}

// A replica of the version before does not answer; its messages are worth as much as ever.
void OwnerCore::Ask(absl::Time now, OwnerOutput& out) {
  asked_at_ = now;
  for (size_t i = 0; i < progress_.size(); i++) {
    if (!progress_[i].limbo) SendTo(i, std::nullopt, progress_[i].sent, {}, out);
  }
}

void OwnerCore::OnRoundAnswered(absl::Time now, OwnerOutput& out) {
  ReplicaMask answered = 0;
  for (size_t i = 0; i < progress_.size(); i++) {
    if (progress_[i].round >= round_) answered |= ReplicaMask{1} << i;
  }
  if (!Asks() || !IsAckQuorum(segment_.rule, segment_.replicas, answered)) return;
  confirmed_round_ = round_;
  while (!held_.empty() && held_.front().round <= round_) {
    out.results.emplace_back(held_.front().ticket, std::move(held_.front().refusal));
    held_.pop_front();
  }
  if (held_.empty()) return;
  round_++;
  Ask(now, out);
}

void OwnerCore::RemindRound(absl::Time now, OwnerOutput& out) {
  while (!held_.empty() && now - held_.front().since > kHeldLimit) {
    out.results.emplace_back(held_.front().ticket, NotConfirmed(partition_, kRetryHint));
    held_.pop_front();
  }
  if (Asks() && !held_.empty() && now - asked_at_ > options_.resend_after) Ask(now, out);
}

void OwnerCore::AcknowledgeAt(Offset stored_to, const Waiter& waiter, OwnerOutput& out) {
  if (stored_to <= committed_) {
    out.results.emplace_back(waiter.ticket, Acknowledged(waiter));
    return;
  }
  // The first whose end is there; everything from committed() on is in memory.
  const auto entry = std::find_if(entries_.lower_bound(committed_), entries_.end(),
                                  [&](const auto& at) { return at.second.end >= stored_to; });
  FOREBAY_CHECK(entry != entries_.end(), "a block that is not committed is in memory");
  entry->second.waiters.push_back(waiter);
}

// What to say of a block that is neither the next nor a repeat; nothing if it is. Whatever some of
// its events may be stored under is unknown, not "not stored".
std::optional<AppendResult> OwnerCore::Refusal(const Block& block,
                                               const ProducerVerdict& verdict) const {
  using Kind = ProducerVerdict::Kind;
  const uint64_t first = block.stamp().first_sequence;
  const uint64_t last = first + block.event_count() - 1;
  const uint64_t expected = verdict.expected;
  const auto refuse = [&](Outcome outcome, const auto&... parts) {
    return AppendResult{.outcome = outcome,
                        .status = absl::FailedPreconditionError(
                            absl::StrCat("producer '", block.stamp().producer.value(), "' on ",
                                         partition_.ToString(), parts...))};
  };
  const std::string sequences = absl::StrCat(" sequences ", first, " to ", last);
  switch (verdict.kind) {
    case Kind::kGap:
      return refuse(Outcome::kNotStored, " leaves a gap: sequence ", first, " came, expected ",
                    expected, "; send again from there");
    case Kind::kFenced:
      return refuse(Outcome::kNotStored, " is fenced: epoch ", block.stamp().producer_epoch,
                    " came, there is already ", expected, "; start with a higher epoch");
    case Kind::kForgotten:
      return refuse(Outcome::kUnknown, " is fenced: epoch ", block.stamp().producer_epoch,
                    " came, there is already ", expected, ", and only the last ",
                    ProducerTable::kFencedKept, " epochs before it are remembered, so whether",
                    sequences, " are stored is not known any more; start with a higher epoch");
    case Kind::kPartly:
      return refuse(Outcome::kUnknown, ":", sequences, " came, of which those below ", expected,
                    " are stored already and the others are not; send those from ", expected,
                    " on as a block of their own");
    case Kind::kOtherCut:
      return refuse(Outcome::kUnknown, ":", sequences,
                    " are stored already, in blocks that begin and end elsewhere, so it cannot be "
                    "told whether these are the same events; repeat a block as it was cut first");
    case Kind::kDiffers:
      return refuse(Outcome::kNotStored, ":", sequences,
                    " were used for other events, which are stored from offset ",
                    verdict.offset.value(),
                    " on; use the next sequence, a higher epoch or another producer id for new "
                    "events");
    case Kind::kNew:
    case Kind::kRepeat:
    case Kind::kStored:
      break;
  }
  return std::nullopt;
}

void OwnerCore::Settle(const Chain& chain, OwnerOutput& out) {
  for (const auto& [first, entry] : entries_) {
    for (const Waiter& waiter : entry.waiters) {
      out.results.emplace_back(waiter.ticket, Settled(waiter, entry, chain));
    }
  }
  entries_.clear();
  entries_bytes_ = 0;
  // It may be stored by the owner that came since.
  for (const Held& held : std::exchange(held_, {})) {
    out.results.emplace_back(held.ticket, NotConfirmed(partition_, absl::ZeroDuration()));
  }
}

AppendResult OwnerCore::Settled(const Waiter& waiter, const Entry& entry,
                                const Chain& chain) const {
  const Segment* mine = FindSegment(chain, segment_.epoch);
  const bool gone = mine == nullptr || !mine->end.has_value();
  if (!gone && entry.end <= *mine->end) return Acknowledged(waiter);
  if (gone || !waiter.known) {
    return {.status = absl::AbortedError(absl::StrCat(
                partition_.ToString(), " was taken over from this owner, and ",
                gone ? absl::StrCat("the segment of epoch ", segment_.epoch.value(), " is gone")
                     : std::string("what was to be repeated may be stored or not"),
                ": repeat with the same sequence to learn the outcome"))};
  }
  return NotStored(WithRetryAfter(
      absl::UnavailableError(absl::StrCat(partition_.ToString(), " was taken over by ",
                                          chain.segments.back().owner.value(), ": send it there")),
      absl::ZeroDuration()));
}

AppendResult OwnerCore::Acknowledged(const Waiter& waiter) const {
  AppendResult result;
  result.outcome = Outcome::kAcknowledged;
  result.partition = partition_;
  result.offset = waiter.known ? waiter.offset : Offset();
  result.offset_known = waiter.known;
  // At least this many: the rule is met. The exact set is not kept per block.
  result.zones = segment_.rule.ack_zones;
  return result;
}

}  // namespace forebay
