#include "drain/drain_progress.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace forebay {

DrainProgress::DrainProgress(DrainContext& context, absl::Duration keep_after_delivery,
                             absl::AnyInvocable<void()> on_released)
    : context_(context),
      keep_(keep_after_delivery),
      on_released_(std::move(on_released)),
      delivered_(keep_after_delivery),
      timers_(context.loop) {}

void DrainProgress::Forget() {
  timers_.Close();
  releasing_ = false;
  committed_ = Offset();
  cursor_.reset();
  released_.reset();
  delivered_ = DelayedCursor(keep_);
  commit_times_ = CommitTimes();
}

void DrainProgress::OnCommitted(Offset committed) {
  committed_ = std::max(committed_, committed);
  commit_times_.Add(context_.clock.Now(), committed_);
  if (cursor_) commit_times_.Delivered(*cursor_);
}

void DrainProgress::Advance(Offset cursor) {
  FOREBAY_CHECK(*cursor_ <= cursor, "a cursor that goes back is not an advance");
  cursor_ = cursor;
  commit_times_.Delivered(cursor);
  delivered_.Add(context_.clock.Now(), cursor);
  Release();
}

void DrainProgress::MoveTo(Offset cursor) {
  cursor_ = cursor;
  commit_times_.Delivered(cursor);
  if (cursor < committed_) commit_times_.Add(context_.clock.Now(), committed_);
  delivered_.Add(context_.clock.Now(), cursor);
  Release();
}

absl::Time DrainProgress::OldestUndelivered() const {
  return commit_times_.OldestUndelivered().value_or(absl::InfiniteFuture());
}

void DrainProgress::AddTo(DrainStatus& status) const {
  status.cursor = cursor_;
  status.committed = committed_;
  if (cursor_ && *cursor_ < committed_) {
    status.lag_events = committed_.value() - cursor_->value();
  }
  const auto oldest = commit_times_.OldestUndelivered();
  if (oldest) status.oldest_undelivered_age = context_.clock.Now() - *oldest;
}

// A downstream may fail over to a state that is older than what it has acknowledged, so what it was
// given is kept for a while.
void DrainProgress::Release() {
  const absl::Time now = context_.clock.Now();
  const std::optional<Offset> before = std::exchange(released_, delivered_.Release(now));
  if (released_ != before) on_released_();
  const std::optional<absl::Time> due = delivered_.NextDue();
  if (!due || releasing_) return;
  releasing_ = true;
  context_.loop.PostAfter(*due - now, timers_.Through([this] {
    releasing_ = false;
    Release();
  }));
}

}  // namespace forebay
