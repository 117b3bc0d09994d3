// What must hold of any text at all that someone gives as a line of events, or that a sink gave as
// the reason of a dead letter.
#pragma once

#include <string>
#include <string_view>

#include "base/check.h"
#include "block/block.h"
#include "block/event_json.h"
#include "drain/dead_letter.h"

namespace forebay {

inline void CheckThatAnyPayloadComesBack(std::string_view payload) {
  Event event;
  event.payload = std::string(payload);
  std::string line;
  AppendEventJson(event, line);
  const absl::StatusOr<Event> again = ParseEventJson(line);
  FOREBAY_CHECK(again.ok() && again->payload == payload, "a payload comes back: " + line);
}

// What is an event is the same one after it was written and read again; so is its dead letter.
// True when it was an event.
inline bool FuzzLines(std::string_view input) {
  const absl::StatusOr<Event> event = ParseEventJson(input);
  CheckThatAnyPayloadComesBack(input);
  if (!event.ok()) return false;
  (void)ParseDeadLetter(*event);
  if (!ValidateEvent(*event).ok()) return false;
  std::string line;
  AppendEventJson(*event, line);
  FOREBAY_CHECK(line.find('\n') == std::string::npos, "one line");
  const absl::StatusOr<Event> again = ParseEventJson(line);
  FOREBAY_CHECK(again.ok() && *again == *event, "read, written and read again: " + line);
  DeadLetter letter;
  letter.sink = SinkId("s");
  letter.partition = {StreamId("web"), 0};
  letter.reason = std::string(input.substr(0, 100));
  letter.event = *event;
  for (const Event& part : EncodeDeadLetter(letter)) {
    FOREBAY_CHECK(ParseDeadLetter(part).ok(), "a dead letter can be read");
    FOREBAY_CHECK(ValidateEvent(part).ok(), "a dead letter can be appended");
  }
  return true;
}

}  // namespace forebay
