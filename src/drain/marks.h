// What a task remembers of when things happened, in bounded memory.
#pragma once

#include <deque>
#include <optional>

#include "absl/time/time.h"
#include "forebay/ids.h"

namespace forebay {

// The delivered cursor, `keep` ago. Late by up to an eighth, so that a few marks are enough.
class DelayedCursor {
 public:
  explicit DelayedCursor(absl::Duration keep) : keep_(keep) {}

  // Everything below `cursor` is delivered. A lower one than before takes the higher ones back.
  void Add(absl::Time now, Offset cursor);
  // The highest cursor that is old enough; nothing before the first one is.
  std::optional<Offset> Release(absl::Time now);
  // When to call Release again; nothing when nothing waits.
  std::optional<absl::Time> NextDue() const;

 private:
  struct Mark {
    Offset cursor;
    absl::Time made_at;
  };
  absl::Time DueAt(const Mark& mark) const { return mark.made_at + keep_ + keep_ / 8; }

  absl::Duration keep_;
  std::optional<Offset> released_;
  std::deque<Mark> marks_;  // at most 10, oldest and lowest first
};

// Since when the oldest undelivered event has been known as committed. Too early by at most a
// sixteenth of the time remembered, never too late.
class CommitTimes {
 public:
  void Add(absl::Time now, Offset committed);
  void Delivered(Offset cursor);
  // Nothing when all is delivered.
  std::optional<absl::Time> OldestUndelivered() const;

 private:
  static constexpr size_t kMarksMax = 32;

  struct Mark {
    Offset end;  // committed up to here...
    absl::Time since;
  };
  absl::Duration spacing_;  // between marks; doubles when there are too many
  std::deque<Mark> marks_;
};

}  // namespace forebay
