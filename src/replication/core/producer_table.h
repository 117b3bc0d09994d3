// ProducerTable: what an owner remembers of each producer, so that a repeated block takes effect
// once (promise G3). Replicas keep it as a snapshot beside each segment.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "block/block.h"
#include "forebay/ids.h"

namespace forebay {

// What a block is, seen from its producer's earlier blocks.
struct ProducerVerdict {
  enum class Kind {
    kNew,     // the next in sequence
    kRepeat,  // stored before, at `offset`
    kGap,     // blocks before it are missing: `expected` is the next sequence
    kFenced,  // a higher epoch of this producer has been here: `expected` is that epoch
  };
  Kind kind = Kind::kNew;
  Offset offset;
  uint64_t expected = 0;
};

// A value; not thread-safe.
class ProducerTable {
 public:
  // Blocks of one producer whose offsets are remembered one by one. A producer has at most this
  // many blocks of one partition on their way, so a repeat is always among them.
  static constexpr size_t kBlocksKept = 16;

  ProducerVerdict Check(const BlockStamp& stamp, uint32_t event_count) const;
  // Records a block that Check called new (or any block of the chain, when rebuilding).
  void Apply(const BlockStamp& stamp, uint32_t event_count, Offset first);

  // Notes that the producer was heard of. ForgetIdle drops those not heard of for `idle`; one that
  // was never heard of counts as heard of now, so that a takeover never shortens the time.
  void Touch(const ProducerId& producer, absl::Time now);
  void ForgetIdle(absl::Time now, absl::Duration idle);

  size_t size() const { return producers_.size(); }
  std::string Encode() const;
  // DATA_LOSS when the bytes are no table.
  static absl::StatusOr<ProducerTable> Decode(std::string_view bytes);

  friend bool operator==(const ProducerTable& a, const ProducerTable& b) {
    return a.producers_ == b.producers_;
  }

 private:
  struct Kept {
    uint64_t first_sequence;
    uint64_t event_count;
    Offset offset;
    friend bool operator==(const Kept&, const Kept&) = default;
  };
  struct Entry {
    uint64_t epoch = 0;
    uint64_t next_sequence = 0;
    std::vector<Kept> kept;                     // oldest first
    absl::Time heard = absl::InfiniteFuture();  // not part of the snapshot
    friend bool operator==(const Entry& a, const Entry& b) {
      return a.epoch == b.epoch && a.next_sequence == b.next_sequence && a.kept == b.kept;
    }
  };

  std::map<ProducerId, Entry> producers_;
};

}  // namespace forebay
