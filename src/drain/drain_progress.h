// DrainProgress: how far one sink is in one partition, and since when.
#pragma once

#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "drain/answer_gate.h"
#include "drain/drain_context.h"
#include "drain/marks.h"
#include "forebay/ids.h"

namespace forebay {

// Confined to the loop.
class DrainProgress {
 public:
  // `on_released` is called when released() may have changed.
  DrainProgress(DrainContext& context, absl::Duration keep_after_delivery,
                absl::AnyInvocable<void()> on_released);

  // The partition was lost: nothing is known any more.
  void Forget();
  void OnCommitted(Offset committed);
  // Everything below `cursor` has taken effect, or was passed over.
  void Advance(Offset cursor);
  // The sink says that it is elsewhere than was thought.
  void MoveTo(Offset cursor);

  Offset committed() const { return committed_; }
  bool known() const { return cursor_.has_value(); }
  // The next offset to deliver. It must be known.
  Offset cursor() const { return *cursor_; }
  bool AllDelivered() const { return *cursor_ >= committed_; }
  // Since when the oldest undelivered event is known; the infinite future when there is none.
  absl::Time OldestUndelivered() const;
  // Delivered, and kept long enough; nothing before the sink has told its progress.
  std::optional<Offset> released() const { return released_; }
  // Cursor, committed, lag and age.
  void AddTo(DrainStatus& status) const;

 private:
  void Release();

  DrainContext& context_;
  const absl::Duration keep_;
  absl::AnyInvocable<void()> on_released_;
  Offset committed_;
  std::optional<Offset> cursor_;
  std::optional<Offset> released_;
  DelayedCursor delivered_;
  CommitTimes commit_times_;
  bool releasing_ = false;  // a timer for Release
  AnswerGate timers_;
};

}  // namespace forebay
