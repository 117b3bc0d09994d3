// The identities of Forebay, each a type of its own so that one cannot stand in for another.
#pragma once

#include <compare>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace forebay {

// A number with a meaning. Comparable and hashable; arithmetic goes through value().
template <typename Tag>
class StrongNumber {
 public:
  constexpr StrongNumber() = default;
  explicit constexpr StrongNumber(uint64_t value) : value_(value) {}
  constexpr uint64_t value() const { return value_; }
  friend constexpr auto operator<=>(StrongNumber, StrongNumber) = default;
  template <typename H>
  friend H AbslHashValue(H h, StrongNumber n) {
    return H::combine(std::move(h), n.value_);
  }
  friend std::ostream& operator<<(std::ostream& out, StrongNumber n) { return out << n.value_; }

 private:
  uint64_t value_ = 0;
};

// A name with a meaning.
template <typename Tag>
class StrongName {
 public:
  StrongName() = default;
  explicit StrongName(std::string value) : value_(std::move(value)) {}
  const std::string& value() const { return value_; }
  bool empty() const { return value_.empty(); }
  friend auto operator<=>(const StrongName&, const StrongName&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const StrongName& n) {
    return H::combine(std::move(h), n.value_);
  }
  friend std::ostream& operator<<(std::ostream& out, const StrongName& n) {
    return out << n.value_;
  }

 private:
  std::string value_;
};

// Index of an event in its partition, from 0.
using Offset = StrongNumber<struct OffsetTag>;
// Rises with every segment of a partition; fences. The first segment has epoch 1.
using Epoch = StrongNumber<struct EpochTag>;
// Drawn again each time a node's store starts empty or is found damaged.
using Incarnation = StrongNumber<struct IncarnationTag>;
// Drawn again each time a node process starts; an owner is one process life.
using ProcessLife = StrongNumber<struct ProcessLifeTag>;

using NodeId = StrongName<struct NodeIdTag>;
using ZoneId = StrongName<struct ZoneIdTag>;
using StreamId = StrongName<struct StreamIdTag>;
using ProducerId = StrongName<struct ProducerIdTag>;
using SinkId = StrongName<struct SinkIdTag>;

// offset + event count.
constexpr Offset operator+(Offset offset, uint64_t count) { return Offset(offset.value() + count); }
constexpr Epoch Next(Epoch epoch) { return Epoch(epoch.value() + 1); }

// An ordered log of a stream; the unit of ownership.
struct PartitionId {
  StreamId stream;
  uint32_t index = 0;

  friend auto operator<=>(const PartitionId&, const PartitionId&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const PartitionId& p) {
    return H::combine(std::move(h), p.stream, p.index);
  }
  // "stream/7"
  std::string ToString() const { return stream.value() + "/" + std::to_string(index); }
  friend std::ostream& operator<<(std::ostream& out, const PartitionId& p) {
    return out << p.ToString();
  }
};

}  // namespace forebay
