// Events for a drill or a bench: from a file, over and over, or made up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "forebay/event.h"

namespace forebay {

// Immutable; any thread.
class EventSource {
 public:
  // INVALID_ARGUMENT: a bad line, or no event. NOT_FOUND: no such file.
  static absl::StatusOr<EventSource> FromFile(const std::string& path);
  // Page views with skewed keys; each payload is about `payload_bytes` long.
  static EventSource MadeUp(size_t payload_bytes);

  // The same event for the same number. Every number has an id of its own: the file's where it is
  // the first time, and one made from it after that.
  Event At(uint64_t number) const;
  // Mean size of an event, in encoded bytes.
  double bytes_mean() const;

 private:
  std::vector<Event> events_;
};

}  // namespace forebay
