// Ids for events that came without one.
#pragma once

#include <string>
#include <string_view>

namespace forebay {

// Counts up from a number in hex digits that was drawn at random, with as many digits. What the ids
// of a block have in common compresses away; drawn one by one they would be a quarter of what is
// left of events of 200 bytes (docs/decisions/0033-where-the-time-goes.md). Not thread-safe.
class EventIds {
 public:
  // Lower-case hex digits, 128 bits of them or more, or two of these might meet.
  explicit EventIds(std::string_view first) : next_(first) {}

  std::string Next();

 private:
  std::string next_;
};

}  // namespace forebay
