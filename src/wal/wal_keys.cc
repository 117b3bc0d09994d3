#include "wal/wal_keys.h"

#include "base/check.h"

namespace forebay {
namespace {

constexpr size_t kStreamBytesMax = 0xffff;

class Writer {
 public:
  Writer& Number(uint64_t value, size_t size) {
    for (size_t i = size; i > 0; --i) bytes_ += static_cast<char>(value >> (8 * (i - 1)));
    return *this;
  }
  Writer& Bytes(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  Writer& Partition(const PartitionId& partition) {
    const std::string& name = partition.stream.value();
    FOREBAY_CHECK(name.size() <= kStreamBytesMax, "stream name too long for a key");
    return Number(name.size(), 2).Bytes(name).Number(partition.index, 4);
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// After a read beyond the end, done() is false and numbers are 0.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  uint64_t Number(size_t size) {
    uint64_t value = 0;
    for (const char c : Bytes(size)) value = value << 8 | static_cast<uint8_t>(c);
    return value;
  }
  std::string_view Bytes(size_t size) {
    if (size > left_.size()) {
      whole_ = false;
      left_ = {};
      return {};
    }
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }
  std::string_view Rest() { return Bytes(left_.size()); }
  bool Prefix(char prefix) { return Bytes(1) == std::string_view(&prefix, 1); }
  PartitionId Partition() {
    const size_t size = Number(2);
    PartitionId partition;
    partition.stream = StreamId(std::string(Bytes(size)));
    partition.index = static_cast<uint32_t>(Number(4));
    return partition;
  }
  // Everything was there, and nothing is left over.
  bool done() const { return whole_ && left_.empty(); }

 private:
  std::string_view left_;
  bool whole_ = true;
};

template <typename T>
std::optional<T> IfDone(const Reader& reader, T value) {
  if (!reader.done()) return std::nullopt;
  return value;
}

}  // namespace

std::string EncodeNumber(uint64_t number) { return Writer().Number(number, 8).Take(); }

std::string EncodeIndexKey(const IndexKey& key) {
  return Writer().Number(key.instance, 8).Number(key.first.value(), 8).Take();
}

std::string EncodeIndexValue(const IndexValue& value) {
  return Writer()
      .Number(value.number, 8)
      .Number(value.count, 4)
      .Number(value.checksum, 4)
      .Number(value.bytes, 4)
      .Take();
}

std::string EncodeMarker(const WalMarker& marker) {
  return Writer()
      .Number(kWalFormat, 4)
      .Number(marker.incarnation.value(), 8)
      .Bytes(marker.node.value())
      .Take();
}

std::string EncodeFenceKey(const PartitionId& partition) {
  return Writer().Number(kFencePrefix, 1).Partition(partition).Take();
}

std::string EncodeSegmentKey(const SegmentKey& key) {
  return Writer()
      .Number(kSegmentPrefix, 1)
      .Partition(key.partition)
      .Number(key.epoch.value(), 8)
      .Take();
}

std::string EncodeSegmentValue(const SegmentValue& value) {
  return Writer()
      .Number(value.instance, 8)
      .Number(value.start.value(), 8)
      .Bytes(value.snapshot)
      .Take();
}

std::optional<uint64_t> DecodeNumber(std::string_view bytes) {
  Reader reader(bytes);
  const uint64_t number = reader.Number(8);
  return IfDone(reader, number);
}

std::optional<IndexKey> DecodeIndexKey(std::string_view bytes) {
  Reader reader(bytes);
  IndexKey key;
  key.instance = reader.Number(8);
  key.first = Offset(reader.Number(8));
  return IfDone(reader, key);
}

std::optional<IndexValue> DecodeIndexValue(std::string_view bytes) {
  Reader reader(bytes);
  IndexValue value;
  value.number = reader.Number(8);
  value.count = static_cast<uint32_t>(reader.Number(4));
  value.checksum = static_cast<uint32_t>(reader.Number(4));
  value.bytes = static_cast<uint32_t>(reader.Number(4));
  return IfDone(reader, value);
}

std::optional<uint64_t> DecodeMarkerVersion(std::string_view bytes) {
  if (bytes.size() < 4) return std::nullopt;
  return Reader(bytes).Number(4);
}

std::optional<WalMarker> DecodeMarker(std::string_view bytes) {
  Reader reader(bytes);
  const bool known = reader.Number(4) == kWalFormat;
  WalMarker marker;
  marker.incarnation = Incarnation(reader.Number(8));
  marker.node = NodeId(std::string(reader.Rest()));
  if (!known || marker.incarnation.value() == 0) return std::nullopt;
  return IfDone(reader, std::move(marker));
}

std::optional<PartitionId> DecodeFenceKey(std::string_view bytes) {
  Reader reader(bytes);
  if (!reader.Prefix(kFencePrefix)) return std::nullopt;
  PartitionId partition = reader.Partition();
  return IfDone(reader, std::move(partition));
}

std::optional<SegmentKey> DecodeSegmentKey(std::string_view bytes) {
  Reader reader(bytes);
  if (!reader.Prefix(kSegmentPrefix)) return std::nullopt;
  SegmentKey key;
  key.partition = reader.Partition();
  key.epoch = Epoch(reader.Number(8));
  return IfDone(reader, std::move(key));
}

std::optional<SegmentValue> DecodeSegmentValue(std::string_view bytes) {
  Reader reader(bytes);
  SegmentValue value;
  value.instance = reader.Number(8);
  value.start = Offset(reader.Number(8));
  value.snapshot = std::string(reader.Rest());
  return IfDone(reader, std::move(value));
}

}  // namespace forebay
