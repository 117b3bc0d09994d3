// Dead letters: what becomes of an event that a sink can never take.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "forebay/event.h"
#include "forebay/ids.h"

namespace forebay {

struct DeadLetter {
  std::string reason;  // what the sink said
  SinkId sink;
  PartitionId partition;
  Offset offset;
  Event event;  // as it was
  // A payload too large for one dead letter is spread over several; 1 of 1 otherwise.
  uint32_t part = 1;
  uint32_t parts = 1;
  std::string block = {};  // not empty: this part's share of a block that holds the event
};

// "<stream>.dead-letter"
StreamId DeadLetterStream(const StreamId& stream);

// The events to append to the dead-letter stream, in order: one, or several when the payload does
// not fit (then each repeats all but the payload). Ids are made of sink, partition and offset, so a
// repeat after a crash is recognizable. Total: what is over EventLimits, is not UTF-8 or holds a
// NUL, as only blocks that were stored unchecked do, is carried in a block of its own, and the
// letters themselves are such as any sink takes.
std::vector<Event> EncodeDeadLetter(const DeadLetter& letter);

// A block that no reader can decode, kept so that somebody may yet.
struct SetAsideLetter {
  std::string reason;
  PartitionId partition;
  Offset first;
  Offset end;
  std::string block;  // its bytes
};

// The events to append to the dead-letter stream, in order, each with a share of the bytes. Their
// ids are made of partition and offset.
std::vector<Event> EncodeSetAside(const SetAsideLetter& letter);
// An event of a dead-letter stream that EncodeSetAside has made.
bool IsSetAsideLetter(const Event& event);

// Reads a dead letter back. With several parts, event.payload or block is this part's share.
// INVALID_ARGUMENT: not a dead letter.
absl::StatusOr<DeadLetter> ParseDeadLetter(const Event& event);

// Joins the parts of letters, read from one partition of a dead-letter stream in order.
class DeadLetterJoiner {
 public:
  // The whole letter, or nothing while more of it is to come. INVALID_ARGUMENT: what has been
  // joined holds no event.
  absl::StatusOr<std::optional<DeadLetter>> Add(DeadLetter part);

 private:
  DeadLetter whole_;
  uint32_t joined_ = 0;  // parts
};

}  // namespace forebay
