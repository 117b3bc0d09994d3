// What Forebay carries.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace forebay {

// One event. Limits are in options.h (EventLimits); an event over a limit is refused whole.
struct Event {
  // Chosen by the producer. When empty, the next of 128 bits, in hex, that the Buffer or Client
  // drew at its start and counts up. Not used for deduplication unless the stream has an event id
  // window: that is what producer sequences are for.
  std::string id;
  // Events with one key go to one partition, in order. Empty: any partition.
  std::string key;
  // When it happened. absl::InfinitePast() stands for "set it to now at append".
  absl::Time time = absl::InfinitePast();
  std::string type;
  // Opaque bytes; JSON for the command line and the JSON sinks.
  std::string payload;
  std::vector<std::pair<std::string, std::string>> attributes;

  friend bool operator==(const Event&, const Event&) = default;
};

}  // namespace forebay
