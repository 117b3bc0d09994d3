#include "drain/marks.h"

#include <utility>

namespace forebay {

void DelayedCursor::Add(absl::Time now, Offset cursor) {
  while (!marks_.empty() && marks_.back().cursor > cursor) marks_.pop_back();
  if (!marks_.empty() && now - marks_.back().made_at < keep_ / 8) {
    marks_.back().cursor = cursor;
  } else {
    marks_.push_back(Mark{cursor, now});
  }
}

std::optional<Offset> DelayedCursor::Release(absl::Time now) {
  while (!marks_.empty() && DueAt(marks_.front()) <= now) {
    if (!released_ || *released_ < marks_.front().cursor) released_ = marks_.front().cursor;
    marks_.pop_front();
  }
  return released_;
}

std::optional<absl::Time> DelayedCursor::NextDue() const {
  if (marks_.empty()) return std::nullopt;
  return DueAt(marks_.front());
}

void CommitTimes::Add(absl::Time now, Offset committed) {
  if (!marks_.empty() && marks_.back().end >= committed) return;
  if (marks_.empty()) spacing_ = absl::Milliseconds(10);
  if (!marks_.empty() && now - marks_.back().since < spacing_) {
    marks_.back().end = committed;
    return;
  }
  marks_.push_back(Mark{committed, now});
  if (marks_.size() <= kMarksMax) return;
  spacing_ *= 2;
  std::deque<Mark> kept;
  for (const Mark& mark : marks_) {
    if (!kept.empty() && mark.since - kept.back().since < spacing_) {
      kept.back().end = mark.end;
    } else {
      kept.push_back(mark);
    }
  }
  marks_ = std::move(kept);
}

void CommitTimes::Delivered(Offset cursor) {
  while (!marks_.empty() && marks_.front().end <= cursor) marks_.pop_front();
}

std::optional<absl::Time> CommitTimes::OldestUndelivered() const {
  if (marks_.empty()) return std::nullopt;
  return marks_.front().since;
}

}  // namespace forebay
