#include "drain/drain_task.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "drain/dead_letter.h"
#include "runtime/log.h"

namespace forebay {
namespace {

// A sink that stays away is one line a minute, not one per retry.
constexpr absl::Duration kLogAgainAfter = absl::Minutes(1);

// Sinks come from outside: what they throw must not end the node.
template <typename Result>
Result Guarded(absl::AnyInvocable<Result()> call) {
  try {
    return call();
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat("the sink threw: ", e.what()));
  } catch (...) {
    return absl::InternalError("the sink threw something that is not a std::exception");
  }
}

}  // namespace

struct DrainTask::Call {
  std::shared_ptr<Sink> sink;
  std::shared_ptr<DrainBatch> batch;
  SinkBatch head;  // events and digest are filled in on the worker
  size_t count = 0;
  bool skip = false;
  bool decoded = false;
  absl::Status result;

  void Run() {
    result = batch->Decode();
    if (!result.ok()) return;
    decoded = true;
    head.events = batch->Events(head.first, count);
    head.digest = DigestOf(head.events);
    result =
        Guarded<absl::Status>([this] { return skip ? sink->Skip(head) : sink->Deliver(head); });
  }
};

template <typename Then>
auto DrainTask::OnLoop(Then then) {
  return [weak = weak_from_this(), life = life_, then = std::move(then)]() mutable {
    auto task = weak.lock();
    if (task != nullptr && task->active_ && task->life_ == life) then(*task);
  };
}

DrainTask::DrainTask(DrainContext& context, PartitionId partition, size_t sink_index,
                     absl::AnyInvocable<void()> released)
    : context_(context),
      partition_(std::move(partition)),
      sink_index_(sink_index),
      on_released_(std::move(released)),
      delivered_(binding().keep_after_delivery) {}

std::string DrainTask::Name() const {
  return absl::StrCat("sink '", binding().name.value(), "' of ", partition_.ToString());
}

void DrainTask::Commit(Epoch epoch, Offset committed) {
  if (active_ && epoch < epoch_) return;
  const absl::Time now = context_.clock.Now();
  if (!active_) {
    active_ = true;
    epoch_ = epoch;
    committed_ = committed;
    state_ = DrainState::kOpening;
    since_ = now;
  } else if (epoch_ < epoch) {
    epoch_ = epoch;
    waits_++;  // what failed before concerns the epoch before
    waiting_ = false;
  }
  committed_ = std::max(committed_, committed);
  commit_times_.Add(now, committed_);
  if (cursor_) commit_times_.Delivered(*cursor_);
  Step();
}

void DrainTask::Lose() {
  life_++;
  waits_++;
  active_ = dead_lettering_ = waiting_ = filling_ = releasing_ = false;
  committed_ = Offset();
  opened_.reset();
  stepped_down_.reset();
  cursor_.reset();
  released_.reset();
  DropBlocks(Offset());
  sent_at_ = absl::InfinitePast();
  delivered_ = DelayedCursor(binding().keep_after_delivery);
  commit_times_ = CommitTimes();
  failures_ = 0;
  last_error_.clear();
  delivered_events_ = retries_ = dead_lettered_events_ = 0;
}

void DrainTask::Step() {
  if (!active_ || calling_ || waiting_ || dead_lettering_ || searching_) return;
  if (stepped_down_ && *stepped_down_ >= epoch_) return;
  if (opened_ != epoch_) return StartOpen();
  if (batch_ == nullptr) {
    if (*cursor_ >= committed_) {
      failures_ = 0;
      last_error_.clear();
      return SetState(DrainState::kIdle);
    }
    if (!fill_to_) {
      if (!Due()) return StepWhenDue();
      fill_to_ = committed_;  // what comes while it is read is for the next batch
    }
    if (buffer_.empty() || (buffer_.end() < *fill_to_ && !buffer_.HoldsBatch(Limits()))) {
      SetState(DrainState::kReading);
      return ReadMore();
    }
    batch_ = std::make_shared<DrainBatch>(buffer_.Take(committed_, Limits()));
    fill_to_.reset();
  }
  if (poison_reason_ && !poison_is_safe_) return StartDeadLetter();
  StartDeliver();
  ReadAhead();
}

bool DrainTask::Due() const {
  const bool has_read_one = buffer_.end() <= committed_ && buffer_.HoldsBatch(Limits());
  return FullBatchBeyond(*cursor_) || has_read_one || context_.clock.Now() >= DueAt();
}

absl::Time DrainTask::DueAt() const {
  const absl::Time oldest = commit_times_.OldestUndelivered().value_or(absl::InfiniteFuture());
  return std::min(sent_at_, oldest) + binding().batch_wait_max;
}

bool DrainTask::FullBatchBeyond(Offset offset) const {
  if (committed_ <= offset) return false;
  const uint64_t events = committed_.value() - offset.value();
  return events >= binding().batch_events_max || events * event_bytes_ >= binding().batch_bytes_max;
}

void DrainTask::StepWhenDue() {
  SetState(DrainState::kFilling);
  if (filling_) return;
  filling_ = true;
  context_.loop.PostAfter(DueAt() - context_.clock.Now(), OnLoop([](DrainTask& task) {
                            task.filling_ = false;
                            task.Step();
                          }));
}

void DrainTask::StartOpen() {
  SetState(DrainState::kOpening);
  calling_ = true;
  auto result = std::make_shared<absl::StatusOr<SinkProgress>>();
  context_.workers.Run(
      sink_index_,
      [sink = binding().sink, partition = partition_, epoch = epoch_, result] {
        *result =
            Guarded<absl::StatusOr<SinkProgress>>([&] { return sink->Open(partition, epoch); });
      },
      [weak = weak_from_this(), life = life_, epoch = epoch_, result] {
        auto task = weak.lock();
        if (task == nullptr) return;
        task->calling_ = false;
        if (task->life_ == life) {
          task->OnOpened(epoch, *result);
        } else {
          task->Step();
        }
      });
}

void DrainTask::OnOpened(Epoch epoch, const absl::StatusOr<SinkProgress>& progress) {
  if (absl::IsFailedPrecondition(progress.status())) {
    return StepDown(epoch, progress.status());
  }
  if (!progress.ok()) {
    return Retry(WithContext(progress.status(), "open"), DrainState::kRetrying);
  }
  opened_ = epoch;
  if (!progress->next && !cursor_) {
    searching_ = true;
    return FindStart(0, committed_.value());
  }
  ResumeAt(progress->next.value_or(cursor_.value_or(Offset())));
  Step();
}

// The sink's progress is the truth. What is in memory is kept as far as it fits.
void DrainTask::ResumeAt(Offset next) {
  const bool known = cursor_.has_value();
  if (known && next < *cursor_) {
    Log(LogLevel::kWarning,
        absl::StrCat(Name(), ": the sink went back from offset ", cursor_->value(), " to ",
                     next.value(), " (did it fail over?); delivering again from there"));
  }
  const bool in_batch = known && batch_ != nullptr && *cursor_ <= next && next <= batch_->end();
  if (in_batch || (known && batch_ == nullptr && next == *cursor_)) return Advance(next);
  DropBlocks(next);
  cursor_ = next;
  commit_times_.Delivered(next);
  if (next < committed_) commit_times_.Add(context_.clock.Now(), committed_);
  delivered_.Add(context_.clock.Now(), next);
  Released();
}

// A higher epoch has opened the sink. This ends the epoch, not a later one of this owner.
void DrainTask::StepDown(Epoch epoch, const absl::Status& why) {
  stepped_down_ = epoch;
  if (epoch_ <= epoch) {
    last_error_ = std::string(why.message());
    DropBlocks(cursor_.value_or(Offset()));
    SetState(DrainState::kSteppedDown);
    Log(LogLevel::kInfo,
        absl::StrCat(Name(), ": stepping down at epoch ", epoch.value(), ": ", View(last_error_)));
  }
  Step();
}

void DrainTask::DropBlocks(Offset next) {
  batch_.reset();
  poison_before_.reset();
  poison_reason_.reset();
  poison_is_safe_ = false;
  read_++;
  reading_ = searching_ = false;
  buffer_.Reset(next);
  fill_to_.reset();
}

void DrainTask::Read(Offset from, size_t bytes_max, ReadThen then) {
  auto done = [weak = weak_from_this(), &loop = context_.loop, read = read_,
               then = std::move(then)](absl::StatusOr<std::vector<StoredBlock>> blocks) mutable {
    loop.Post([weak, read, then = std::move(then), blocks = std::move(blocks)]() mutable {
      auto task = weak.lock();
      if (task != nullptr && task->active_ && task->read_ == read) then(*task, std::move(blocks));
    });
  };
  context_.ports.read(partition_, from, bytes_max, std::move(done));
}

// A sink that holds no progress starts at the first event that is left: what was trimmed has
// reached every sink. A read tells on which side of the trim floor it is.
void DrainTask::FindStart(uint64_t low, uint64_t high) {
  if (low >= high) {
    searching_ = false;
    ResumeAt(Offset(high));
    return Step();
  }
  const uint64_t probe = low == 0 ? 0 : low + (high - low) / 2;
  Read(Offset(probe), 1, [low, high, probe](DrainTask& task, const auto& blocks) {
    if (absl::IsOutOfRange(blocks.status())) return task.FindStart(probe + 1, high);
    if (blocks.ok()) return task.FindStart(low, probe);
    task.searching_ = false;
    task.Retry(WithContext(blocks.status(), "find the first event left"), DrainState::kRetrying);
  });
}

void DrainTask::ReadMore() {
  if (reading_ || buffer_.end() >= committed_) return;
  reading_ = true;
  Read(buffer_.end(), binding().batch_bytes_max,
       [](DrainTask& task, auto blocks) { task.OnRead(std::move(blocks)); });
}

void DrainTask::ReadAhead() {
  if (FullBatchBeyond(batch_->end()) && !buffer_.HoldsBatch(Limits())) ReadMore();
}

void DrainTask::OnRead(absl::StatusOr<std::vector<StoredBlock>> blocks) {
  reading_ = false;
  absl::Status status = blocks.status();
  if (status.ok() && blocks->empty()) {
    status =
        absl::UnavailableError(absl::StrCat("nothing to read at offset ", buffer_.end().value(),
                                            " although ", committed_.value(), " is committed"));
  }
  if (status.ok()) status = buffer_.Add(*std::move(blocks));
  if (batch_ != nullptr) {  // it was a read ahead; if it failed, the batch in delivery goes first
    return status.ok() ? ReadAhead() : void();
  }
  // What could be read before goes first.
  if (!status.ok() && !buffer_.empty()) fill_to_ = buffer_.end();
  if (status.ok() || !buffer_.empty()) return Step();
  if (!absl::IsOutOfRange(status)) {
    return Retry(WithContext(status, "read"), DrainState::kRetrying);
  }
  // G8: nothing is skipped silently. Somebody has to decide, and the sink's progress is where.
  Retry(absl::OutOfRangeError(
            absl::StrCat("the sink's progress is offset ", cursor_->value(),
                         ", but events from there on were trimmed: ", status.message(),
                         ". Restore the sink, or set its progress forward to accept the loss")),
        DrainState::kMissingBlocks);
}

void DrainTask::StartDeliver() {
  SetState(DrainState::kDelivering);
  auto call = std::make_shared<Call>();
  uint64_t count = batch_->end().value() - cursor_->value();
  if (poison_before_) {
    count = std::max<uint64_t>(1, (poison_before_->value() - cursor_->value()) / 2);
  }
  call->sink = binding().sink;
  call->batch = batch_;
  call->count = count;
  call->skip = poison_reason_.has_value();
  call->head.sink = binding().name;
  call->head.partition = partition_;
  call->head.epoch = *opened_;
  call->head.first = *cursor_;
  call->head.last = *cursor_ + (count - 1);
  // G6: what is not committed may yet be taken back.
  FOREBAY_CHECK(call->head.last < committed_, "delivering beyond what is committed");
  calling_ = true;
  sent_at_ = context_.clock.Now();
  context_.workers.Run(
      sink_index_, [call] { call->Run(); },
      [weak = weak_from_this(), life = life_, call] {
        auto task = weak.lock();
        if (task == nullptr) return;
        task->calling_ = false;
        if (task->life_ == life) {
          task->OnDelivered(*call);
        } else {
          task->Step();
        }
      });
}

void DrainTask::OnDelivered(const Call& call) {
  if (call.result.ok()) {
    failures_ = 0;
    last_error_.clear();
    if (!call.skip) delivered_events_ += call.count;
    event_bytes_ = std::max<uint64_t>(
        1, batch_->cost_bytes() / (batch_->end().value() - batch_->first().value()));
    Advance(*cursor_ + call.count);
    return Step();
  }
  if (!call.decoded) {  // damaged in memory or on disk: read it anew, perhaps from a peer
    DropBlocks(*cursor_);
    return Retry(call.result, DrainState::kRetrying);
  }
  if (absl::IsFailedPrecondition(call.result)) {
    return StepDown(call.head.epoch, call.result);
  }
  if (absl::IsInvalidArgument(call.result) && !call.skip) return OnPoison(call);
  Retry(WithContext(call.result, call.skip ? "skip" : "deliver"), DrainState::kRetrying);
}

void DrainTask::OnPoison(const Call& call) {
  poison_before_ = *cursor_ + call.count;
  if (call.count == 1) {
    poison_reason_ = std::string(call.result.message());
    poison_is_safe_ = false;
  }
  Step();
}

// Everything below `cursor` has taken effect, or was skipped.
void DrainTask::Advance(Offset cursor) {
  FOREBAY_CHECK(*cursor_ <= cursor, "a cursor that goes back is not an advance");
  if (*cursor_ < cursor) {
    cursor_ = cursor;
    if (poison_is_safe_) dead_lettered_events_++;
    poison_reason_.reset();
    poison_is_safe_ = false;
    if (poison_before_ && *poison_before_ <= cursor) poison_before_.reset();
    commit_times_.Delivered(cursor);
  }
  if (batch_ != nullptr && batch_->end() <= cursor) batch_.reset();
  delivered_.Add(context_.clock.Now(), cursor);
  Released();
}

void DrainTask::StartDeadLetter() {
  SetState(DrainState::kDeadLetter);
  DeadLetter letter;
  letter.reason = *poison_reason_;
  letter.sink = binding().name;
  letter.partition = partition_;
  letter.offset = *cursor_;
  letter.event = batch_->Events(*cursor_, 1).front();
  auto parts = std::make_shared<std::vector<Event>>(EncodeDeadLetter(letter));
  for (Event& part : *parts) part.time = context_.clock.Now();
  dead_lettering_ = true;
  SendDeadLetter(std::move(parts), 0);
}

void DrainTask::SendDeadLetter(std::shared_ptr<std::vector<Event>> parts, size_t next) {
  auto then = [weak = weak_from_this(), life = life_, parts, next,
               &loop = context_.loop](absl::Status status) mutable {
    loop.Post([weak, life, parts, next, status = std::move(status)] {
      auto task = weak.lock();
      if (task == nullptr || !task->active_ || task->life_ != life) return;
      if (status.ok() && next + 1 < parts->size()) return task->SendDeadLetter(parts, next + 1);
      task->dead_lettering_ = false;
      if (!status.ok()) {
        return task->Retry(WithContext(status, "append to the dead-letter stream"),
                           DrainState::kRetrying);
      }
      task->poison_is_safe_ = true;
      task->Step();
    });
  };
  context_.ports.dead_letter(DeadLetterStream(partition_.stream), (*parts)[next], std::move(then));
}

void DrainTask::Retry(const absl::Status& why, DrainState state) {
  const absl::Time now = context_.clock.Now();
  const std::string error = why.ToString();
  if (error != last_error_ || now - logged_at_ >= kLogAgainAfter) {
    logged_at_ = now;
    Log(LogLevel::kWarning, absl::StrCat(Name(), ": ", error, "; will be retried for ever"));
  }
  last_error_ = error;
  opened_.reset();  // an ambiguous outcome is settled by the sink's progress
  retries_++;
  SetState(state);
  absl::Duration wait = context_.options.retry_wait_min * (1 << std::min(failures_, 20));
  wait = std::min(wait, context_.options.retry_wait_max);
  failures_++;
  waiting_ = true;
  context_.loop.PostAfter(context_.random.Between(wait / 2, wait),
                          OnLoop([wait_id = ++waits_](DrainTask& task) {
                            if (task.waits_ != wait_id) return;
                            task.waiting_ = false;
                            task.Step();
                          }));
}

void DrainTask::SetState(DrainState state) {
  // While the calls fail, the state says so until one has gone well.
  const bool failing = state == DrainState::kRetrying || state == DrainState::kMissingBlocks ||
                       state == DrainState::kSteppedDown;
  if (failures_ > 0 && !failing) return;
  if (state_ == state) return;
  state_ = state;
  since_ = context_.clock.Now();
}

void DrainTask::Released() {
  const absl::Time now = context_.clock.Now();
  const std::optional<Offset> before = std::exchange(released_, delivered_.Release(now));
  if (released_ != before) on_released_();
  const std::optional<absl::Time> due = delivered_.NextDue();
  if (!due || releasing_) return;
  releasing_ = true;
  context_.loop.PostAfter(*due - now, OnLoop([](DrainTask& task) {
    task.releasing_ = false;
    task.Released();
  }));
}

DrainStatus DrainTask::Status() const {
  DrainStatus out;
  out.partition = partition_;
  out.sink = binding().name;
  out.epoch = epoch_;
  out.state = state_;
  out.since = since_;
  out.cursor = cursor_;
  out.committed = committed_;
  if (cursor_ && *cursor_ < committed_) {
    out.lag_events = committed_.value() - cursor_->value();
  }
  const auto oldest = commit_times_.OldestUndelivered();
  if (oldest) out.oldest_undelivered_age = context_.clock.Now() - *oldest;
  out.last_error = last_error_;
  out.delivered_events = delivered_events_;
  out.retries = retries_;
  out.dead_lettered_events = dead_lettered_events_;
  return out;
}

}  // namespace forebay
