// Reading events from JSON lines (NDJSON).
#pragma once

#include <cstdint>
#include <istream>
#include <string>

#include "absl/status/statusor.h"
#include "forebay/event.h"

namespace forebay {

// Empty lines are passed over but counted. Not thread-safe.
class EventLines {
 public:
  explicit EventLines(std::istream& in) : in_(in) {}

  // False at the end. Otherwise `line()` is the number of the line, counted from 1, and `event` is
  // the event or what is wrong with it ("line 7: ..."); the limits of EventLimits count.
  bool Next(absl::StatusOr<Event>& event);
  uint64_t line() const { return line_; }

 private:
  std::istream& in_;
  uint64_t line_ = 0;
  std::string text_;
};

}  // namespace forebay
