#include "drain/drain_task.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "runtime/log.h"

namespace forebay {
namespace {

// Waits to try again, and says why.
bool IsFailing(DrainState state) {
  return state == DrainState::kRetrying || state == DrainState::kMissingBlocks ||
         state == DrainState::kUndecodable;
}

// What must never follow what, whatever the order of answers, commits and losses.
bool MayFollow(DrainState state, DrainState next) {
  if (next == DrainState::kLost) return true;
  if (state == DrainState::kLost) return next == DrainState::kOpening;
  // A call that failed may have had its effect, and a fence holds: only an Open goes on from there.
  if (IsFailing(state) || state == DrainState::kSteppedDown) return next == DrainState::kOpening;
  if (next == DrainState::kFindingStart) return state == DrainState::kOpening;
  if (next == DrainState::kSettingAside) {
    return state == DrainState::kDelivering || state == DrainState::kOpening;
  }
  return true;
}

}  // namespace

DrainTask::DrainTask(DrainContext& context, const PartitionId& partition, size_t sink_index,
                     absl::AnyInvocable<void()> released)
    : context_(context),
      session_(context, sink_index),
      reader_(context, partition, sink_index,
              [this](const absl::Status& status) { OnRead(status); }),
      poison_(context, partition, context.sinks[sink_index].name),
      progress_(context, context.sinks[sink_index].keep_after_delivery, std::move(released)),
      answers_(context.loop),
      timer_(context.loop) {
  told_.partition = partition;
  told_.sink = context.sinks[sink_index].name;
}

std::string DrainTask::Name() const {
  return absl::StrCat("sink '", told_.sink.value(), "' of ", told_.partition.ToString());
}

void DrainTask::Commit(Epoch epoch, Offset committed) {
  if (active() && epoch < told_.epoch) return;
  const bool new_epoch = !active() || told_.epoch < epoch;
  told_.epoch = epoch;
  progress_.OnCommitted(committed);
  if (Heeds(new_epoch)) Proceed();
}

// In the other states an answer is on its way, and Next() sees the new epoch when it comes. A read
// is not waited for: it may take a second, and what it brings is good at any epoch.
bool DrainTask::Heeds(bool new_epoch) const {
  switch (state_) {
    case DrainState::kIdle:
    case DrainState::kFilling:
      return true;
    case DrainState::kLost:
    case DrainState::kReading:
    case DrainState::kRetrying:
    case DrainState::kMissingBlocks:
    case DrainState::kUndecodable:
    case DrainState::kSteppedDown:
      return new_epoch;
    default:
      return false;
  }
}

void DrainTask::Lose() {
  if (!active()) return;
  answers_.Close();
  session_.Forget();
  reader_.Forget();
  progress_.Forget();
  DropBlocks(Offset());
  retry_ = RetryPace();
  const DrainStatus before = std::exchange(told_, {});
  told_.partition = before.partition;
  told_.sink = before.sink;
  Enter(DrainState::kLost);
}

DrainState DrainTask::Next() const {
  if (session_.IsFencedAt(told_.epoch)) return DrainState::kSteppedDown;
  if (!session_.IsOpenAt(told_.epoch)) return DrainState::kOpening;
  if (!progress_.known()) return DrainState::kFindingStart;
  if (bad_block_) return DrainState::kSettingAside;
  if (batch_ == nullptr) {
    const Offset committed = progress_.committed();
    if (progress_.AllDelivered()) return DrainState::kIdle;
    if (!reader_.Due(committed, progress_.OldestUndelivered())) return DrainState::kFilling;
    if (!reader_.HasBatch(committed)) return DrainState::kReading;
  }
  return poison_.HasFound() ? DrainState::kDeadLetter : DrainState::kDelivering;
}

void DrainTask::Proceed() {
  const DrainState next = Next();
  // What was waited for in these is still waited for.
  const bool rests =
      next == DrainState::kIdle || next == DrainState::kFilling || next == DrainState::kSteppedDown;
  if (next != state_ || !rests) Enter(next);
}

void DrainTask::Enter(DrainState next) {
  FOREBAY_CHECK(MayFollow(state_, next),
                absl::StrCat(Name(), ": ", NameOf(next), " after ", NameOf(state_)));
  timer_.Close();
  state_ = next;
  context_.visits[static_cast<size_t>(next)]++;
  if (next == DrainState::kIdle) retry_.Succeeded();  // all there was to deliver is delivered
  const bool tells = IsFailing(next) || next == DrainState::kSteppedDown || !retry_.failing();
  if (tells && told_.state != next) {
    told_.state = next;
    told_.since = context_.clock.Now();
  }
  switch (next) {
    case DrainState::kOpening:
      return StartOpen();
    case DrainState::kFindingStart:
      return StartFindingStart();
    case DrainState::kFilling:
      return WaitToFill();
    case DrainState::kReading:
      return reader_.Fill(progress_.committed());
    case DrainState::kDelivering:
      return StartDelivery();
    case DrainState::kDeadLetter:
      return StartDeadLetter();
    case DrainState::kSettingAside:
      return StartSettingAside();
    default:
      return;  // the others wait for what comes by itself
  }
}

void DrainTask::StartOpen() {
  session_.Open(told_.partition, told_.epoch,
                [this](const absl::StatusOr<SinkProgress>& progress) { OnOpened(progress); });
}

void DrainTask::OnOpened(const absl::StatusOr<SinkProgress>& progress) {
  if (absl::IsFailedPrecondition(progress.status())) return StepDown(progress.status());
  if (!progress.ok()) return Fail(WithContext(progress.status(), "open"), DrainState::kRetrying);
  if (progress->next) {
    ResumeAt(*progress->next);
  } else if (progress_.known()) {
    ResumeAt(progress_.cursor());
  }
  Proceed();
}

// The sink's progress is the truth. What is in memory is kept as far as it fits.
void DrainTask::ResumeAt(Offset next) {
  if (!progress_.known()) {
    DropBlocks(next);
    return progress_.MoveTo(next);
  }
  const Offset cursor = progress_.cursor();
  if (next < cursor) {
    Log(LogLevel::kWarning,
        absl::StrCat(Name(), ": the sink went back from offset ", cursor.value(), " to ",
                     next.value(), " (did it fail over?); delivering again from there"));
  }
  const bool in_batch = batch_ != nullptr && cursor <= next && next <= batch_->end();
  if (in_batch || (batch_ == nullptr && next == cursor)) return Advance(next);
  // The Skip had its effect, and its answer was lost.
  if (bad_block_ && next == bad_block_->end) return Advance(next);
  DropBlocks(next);
  progress_.MoveTo(next);
}

// A higher epoch has opened the sink. This ends the epoch, not a later one of this owner.
void DrainTask::StepDown(const absl::Status& why) {
  if (session_.IsFencedAt(told_.epoch)) {
    retry_.StoppedBy(std::string(why.message()));
    DropBlocks(progress_.known() ? progress_.cursor() : Offset());
    Log(LogLevel::kInfo, absl::StrCat(Name(), ": stepping down at epoch ", told_.epoch.value(),
                                      ": ", why.message()));
  }
  Proceed();
}

void DrainTask::DropBlocks(Offset next) {
  batch_.reset();
  bad_block_.reset();
  poison_.Reset();
  reader_.Reset(next);
}

// A sink that holds no progress starts at the first event that is left: what was trimmed has
// reached every sink.
void DrainTask::StartFindingStart() {
  reader_.FindStart(progress_.committed(), [this](const absl::StatusOr<Offset>& start) {
    if (!start.ok()) return Fail(start.status(), DrainState::kRetrying);
    ResumeAt(*start);
    Proceed();
  });
}

void DrainTask::WaitToFill() {
  const absl::Time due = reader_.DueAt(progress_.OldestUndelivered());
  context_.loop.PostAfter(due - context_.clock.Now(), timer_.Through([this] { Enter(Next()); }));
}

void DrainTask::OnRead(const absl::Status& status) {
  if (state_ == DrainState::kDelivering) {
    // It was a read ahead. If it failed, the batch in delivery goes first.
    if (status.ok()) reader_.Ahead(batch_->planned_end(), progress_.committed());
    return;
  }
  if (state_ != DrainState::kReading) return;
  if (status.ok() || reader_.EndBatchHere()) return Proceed();
  if (!absl::IsOutOfRange(status)) {
    return Fail(WithContext(status, "read"), DrainState::kRetrying);
  }
  // G8: nothing is skipped silently. Somebody has to decide, and the sink's progress is where.
  Fail(absl::OutOfRangeError(
           absl::StrCat("the sink's progress is offset ", progress_.cursor().value(),
                        ", but events from there on were trimmed: ", status.message(),
                        ". Restore the sink, or set its progress forward to accept the loss")),
       DrainState::kMissingBlocks);
}

void DrainTask::StartDelivery() {
  if (batch_ == nullptr) {
    batch_ = std::make_shared<DrainBatch>(reader_.Take(progress_.committed()));
  }
  auto call = std::make_shared<SinkCall>();
  call->batch = batch_;
  call->count = poison_.Count(progress_.cursor(), batch_->end());
  call->skip = poison_.IsSafe();
  call->head.last = progress_.cursor() + (call->count - 1);
  Call(std::move(call), &DrainTask::OnDelivered);
  reader_.Ahead(batch_->planned_end(), progress_.committed());
}

void DrainTask::Call(std::shared_ptr<SinkCall> call, void (DrainTask::*then)(const SinkCall&)) {
  call->head.sink = told_.sink;
  call->head.partition = told_.partition;
  call->head.epoch = told_.epoch;
  call->head.first = progress_.cursor();
  // G6: what is not committed may yet be taken back.
  FOREBAY_CHECK(call->head.last < progress_.committed(), "delivering beyond what is committed");
  session_.Make(std::move(call), [this, then](const SinkCall& made) { (this->*then)(made); });
}

void DrainTask::OnDelivered(const SinkCall& call) {
  if (call.result.ok()) {
    retry_.Succeeded();
    if (!call.skip) told_.delivered_events += call.count;
    Advance(call.head.last + 1);
    return Proceed();
  }
  if (!call.decoded) {
    const BadBlock bad = *batch_->bad();
    DropBlocks(progress_.cursor());
    bad_block_ = bad;
    return Proceed();
  }
  if (absl::IsFailedPrecondition(call.result)) return StepDown(call.result);
  if (absl::IsInvalidArgument(call.result) && !call.skip) {
    poison_.OnRefused(call.head.first, call.count, std::string(call.result.message()));
    return Proceed();
  }
  Fail(WithContext(call.result, call.skip ? "skip" : "deliver"), DrainState::kRetrying);
}

// Everything below `cursor` has taken effect, or was passed over.
void DrainTask::Advance(Offset cursor) {
  const Offset before = progress_.cursor();
  if (before < cursor) {
    if (poison_.IsSafe()) told_.dead_lettered_events++;
    poison_.OnPassed(cursor);
    if (bad_block_) {
      told_.set_aside_events += cursor.value() - before.value();
      bad_block_.reset();
      reader_.Reset(cursor);
    }
  }
  if (batch_ != nullptr && batch_->end() <= cursor) {
    // It was cut where a block could not be decoded. What follows is read again.
    if (batch_->end() < batch_->planned_end()) reader_.Reset(cursor);
    batch_.reset();
  }
  progress_.Advance(cursor);
}

void DrainTask::StartDeadLetter() {
  const Offset cursor = progress_.cursor();
  poison_.Bury(cursor, batch_->Events(cursor, 1).front(), [this](const absl::Status& status) {
    if (status.ok()) return Proceed();
    Fail(WithContext(status, "append to the dead-letter stream"), DrainState::kRetrying);
  });
}

// A copy elsewhere may be whole, so the block is read again for ever. But one that was stored like
// that is the same everywhere, and only an operator can let the sinks pass it. That decision is
// kept in the metadata store, so the next owner finds it too.
void DrainTask::StartSettingAside() {
  context_.ports.is_set_aside(
      told_.partition, *bad_block_, answers_.OnLoop([this](absl::StatusOr<bool> set_aside) {
        if (set_aside.ok() && *set_aside) return SkipBadBlock();
        const BadBlock bad = *bad_block_;
        const std::string where = absl::StrCat(told_.partition.stream.value(), " ",
                                               told_.partition.index, " ", bad.first.value());
        std::string why = absl::StrCat(
            "offsets ", bad.first.value(), " to ", bad.end.value() - 1, " of ",
            told_.partition.ToString(),
            " cannot be decoded, so delivery waits there: ", bad.why.message(),
            ". If this stays, 'forebay admin set-aside ", where,
            "' keeps the bytes apart and lets every sink pass over exactly these offsets");
        if (!set_aside.ok())
          absl::StrAppend(&why, "; whether that was done: ", set_aside.status().ToString());
        Fail(absl::DataLossError(why), DrainState::kUndecodable);
      }));
}

void DrainTask::SkipBadBlock() {
  auto call = std::make_shared<SinkCall>();
  call->skip = true;
  call->head.last = Offset(std::min(bad_block_->end, progress_.committed()).value() - 1);
  Call(std::move(call), &DrainTask::OnSkipped);
}

void DrainTask::OnSkipped(const SinkCall& call) {
  if (call.result.ok()) {
    retry_.Succeeded();
    Log(LogLevel::kWarning,
        absl::StrCat(Name(), ": passed over offsets ", call.head.first.value(), " to ",
                     call.head.last.value(), ", which an operator has set aside"));
    Advance(call.head.last + 1);
    return Proceed();
  }
  if (absl::IsFailedPrecondition(call.result)) return StepDown(call.result);
  Fail(WithContext(call.result, "skip"), DrainState::kRetrying);
}

void DrainTask::Fail(const absl::Status& why, DrainState state) {
  session_.Doubt();  // an ambiguous outcome is settled by the sink's progress
  if (state == DrainState::kUndecodable) bad_block_.reset();  // it is read again
  told_.retries++;
  const absl::Duration wait = retry_.Failed(Name(), why.ToString(), context_);
  Enter(state);
  context_.loop.PostAfter(wait, timer_.Through([this] { Proceed(); }));
}

DrainStatus DrainTask::Status() const {
  DrainStatus out = told_;
  out.last_error = retry_.last_error();
  progress_.AddTo(out);
  return out;
}

}  // namespace forebay
