// Events for a drill or a bench: from a file, over and over, or made up.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "forebay/event.h"
#include "testbed/zipf_keys.h"

namespace forebay {

// `weight` of the sum of all weights are events of this size.
struct SizeShare {
  uint64_t bytes = 0;  // encoded
  uint64_t weight = 1;
  friend bool operator==(const SizeShare&, const SizeShare&) = default;
};

struct MadeUpEvents {
  std::vector<SizeShare> sizes;  // at least one
  // Nothing: 2,000 visitors, some of which come more often. 0: no keys.
  std::optional<uint64_t> keys;
  double key_skew = 0;          // ZipfKeys
  bool incompressible = false;  // payloads of random bytes
};

// Immutable; any thread.
class EventSource {
 public:
  // INVALID_ARGUMENT: a bad line, or no event. NOT_FOUND: no such file.
  static absl::StatusOr<EventSource> FromFile(const std::string& path);
  // Page views with skewed keys; each payload is about `payload_bytes` long.
  static EventSource MadeUp(size_t payload_bytes);
  // The same without ids, as most programs append: the client sees to them.
  static EventSource MadeUp(const MadeUpEvents& wanted);

  // The same event for the same number. Where there are ids, every number has one of its own: the
  // file's where it is the first time, and one made from it after that.
  Event At(uint64_t number) const;
  // Mean size of an event, in encoded bytes.
  double bytes_mean() const;

 private:
  static EventSource MadeUpOf(const std::vector<size_t>& payload_bytes, bool incompressible);

  std::vector<Event> events_;
  bool without_keys_ = false;
  std::shared_ptr<const ZipfKeys> keys_;  // shared by copies; nullptr: the events have their own
};

}  // namespace forebay
