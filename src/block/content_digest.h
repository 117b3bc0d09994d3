// ContentDigest: tells whether events are the same, however they were encoded and when.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/checksum.h"

namespace forebay {

// CRC-32C over the fields of events, in order, each with its length. Times do not count: a node
// fills in a missing one, so an honest repeat may have another. Nor does the order of attributes,
// which comes from a map. Not kept for longer than blocks are told apart by it, but it is in
// producers' snapshots (docs/FORMATS.md).
class ContentDigest {
 public:
  // An Event, or an EventView.
  template <typename AnyEvent>
  void Add(const AnyEvent& event) {
    uint32_t crc = With(event.payload, With(event.type, With(event.key, With(event.id, digest_))));
    uint32_t attributes = static_cast<uint32_t>(event.attributes.size());
    for (const auto& [name, value] : event.attributes) attributes += With(value, With(name, 0));
    digest_ = WithNumber(attributes, crc);
  }
  uint32_t value() const { return digest_; }

 private:
  static uint32_t WithNumber(uint32_t number, uint32_t crc) {
    char bytes[4];
    for (int i = 0; i < 4; i++) bytes[i] = static_cast<char>(number >> (8 * i));
    return Crc32c({bytes, 4}, crc);
  }
  static uint32_t With(std::string_view field, uint32_t crc) {
    return Crc32c(field, WithNumber(static_cast<uint32_t>(field.size()), crc));
  }

  uint32_t digest_ = 0;
};

}  // namespace forebay
