// The events that every peer is sent: analytics events as JSON, of one size, compressible as such
// events are (zstd -1 shrinks the 1 KiB ones 5.3-fold in 256 KiB blocks).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace forebay::compare {

// Which publisher sent it, and as its how many-th. It stands in the event as 16 hex digits.
struct EventId {
  uint32_t publisher = 0;
  uint64_t number = 0;

  uint64_t value() const { return uint64_t{publisher} << 40 | number; }
  static EventId Of(uint64_t value) {
    return {static_cast<uint32_t>(value >> 40), value & ((uint64_t{1} << 40) - 1)};
  }
  friend bool operator==(const EventId&, const EventId&) = default;
};

// A few thousand events, the same in every process. Thread-safe.
class EventPool {
 public:
  // Of at least 150 bytes each.
  explicit EventPool(size_t bytes);

  // Writes one of the events, with this id, over `out`.
  void Write(EventId id, std::string& out) const;

 private:
  std::vector<std::string> events_;
};

// nullopt: not an event of ours.
std::optional<EventId> IdOf(std::string_view event);

}  // namespace forebay::compare
