// The protobuf encoding of events, as far as reading them takes it. Inside block only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace forebay {

// Wire types of the protobuf encoding.
enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

constexpr uint32_t Tag(uint32_t field, WireType type) { return field << 3 | type; }
constexpr uint32_t FieldOf(uint64_t tag) { return static_cast<uint32_t>(tag >> 3); }

// Field numbers of event.proto; all tags are one byte.
inline constexpr uint32_t kEventsTag = Tag(1, kBytes);
inline constexpr uint32_t kIdTag = Tag(1, kBytes);
inline constexpr uint32_t kKeyTag = Tag(2, kBytes);
inline constexpr uint32_t kTimeTag = Tag(3, kFixed64);
inline constexpr uint32_t kTypeTag = Tag(4, kBytes);
inline constexpr uint32_t kPayloadTag = Tag(5, kBytes);
inline constexpr uint32_t kAttributeTag = Tag(6, kBytes);
inline constexpr uint32_t kMapKeyTag = Tag(1, kBytes);
inline constexpr uint32_t kMapValueTag = Tag(2, kBytes);

// Reads a prefix of its bytes at a time; every read says whether there was enough.
class Reader {
 public:
  // Lengths take at most so many bytes. Protobuf's own libraries read 5.
  explicit Reader(std::string_view bytes, size_t length_bytes_max = 10)
      : rest_(bytes), length_bytes_max_(length_bytes_max) {}

  bool done() const { return rest_.empty(); }

  std::optional<uint64_t> Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      if (shift == 63 && byte > 1) return std::nullopt;
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }

  // The next byte, if it is a member of `set`, which has a bit for each below 64; else 0.
  uint64_t ByteOf(uint64_t set) {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(rest_.front());
    if (byte >= 64 || (set >> byte & 1) == 0) return 0;
    rest_.remove_prefix(1);
    return byte;
  }

  // What every protobuf library takes: a field number above 0, of 32 bits at most in 5 bytes.
  std::optional<uint64_t> StrictTag() {
    const size_t before = rest_.size();
    const std::optional<uint64_t> tag = Varint();
    if (!tag || *tag > UINT32_MAX || before - rest_.size() > 5 || FieldOf(*tag) == 0) {
      return std::nullopt;
    }
    return tag;
  }

  std::optional<std::string_view> Take(uint64_t size) {
    if (size > rest_.size()) return std::nullopt;
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::optional<std::string_view> Bytes() {
    if (!rest_.empty() && static_cast<uint8_t>(rest_.front()) < 0x80) {  // most are that short
      const size_t size = static_cast<uint8_t>(rest_.front());
      if (size >= rest_.size()) return std::nullopt;
      const std::string_view taken = rest_.substr(1, size);
      rest_.remove_prefix(1 + size);
      return taken;
    }
    const size_t before = rest_.size();
    const std::optional<uint64_t> size = Varint();
    if (before - rest_.size() > length_bytes_max_) return std::nullopt;
    return size ? Take(*size) : std::nullopt;
  }

  std::optional<int64_t> Fixed64() {
    const std::optional<std::string_view> bytes = Take(8);
    if (!bytes) return std::nullopt;
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | static_cast<uint8_t>((*bytes)[i]);
    return static_cast<int64_t>(value);
  }

  bool Skip(uint64_t tag) {
    switch (tag & 7) {
      case kVarint:
        return Varint().has_value();
      case kFixed64:
        return Take(8).has_value();
      case kBytes:
        return Bytes().has_value();
      case kFixed32:
        return Take(4).has_value();
      default:
        return false;
    }
  }

 private:
  std::string_view rest_;
  size_t length_bytes_max_;
};

}  // namespace forebay
