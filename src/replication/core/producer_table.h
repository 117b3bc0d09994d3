// ProducerTable: what an owner remembers of each producer, so that a repeated block takes effect
// once (promise G3). Replicas keep it as a snapshot beside each segment.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
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
    kNew,        // the next in sequence
    kRepeat,     // stored before, at `offset`
    kStored,     // all its sequences are stored; where is not remembered
    kPartly,     // the sequences below `expected` are stored, the others are not
    kOtherCut,   // all its sequences are stored, in blocks that were cut in other places
    kDiffers,    // its sequences are stored with other content
    kGap,        // blocks before it are missing: `expected` is the next sequence
    kFenced,     // a higher epoch of this producer, `expected`, has been here; it is not stored
    kForgotten,  // fenced likewise, too long ago: nobody knows whether it is stored
  };
  Kind kind = Kind::kNew;
  Offset offset = {};
  uint64_t expected = 0;
  // kRepeat and kStored: true of the log once everything below this is committed.
  Offset stored_to = {};
};

// Tells a repeat from other events under the same sequences.
struct BlockMark {
  uint32_t checksum = 0;
  std::optional<uint32_t> digest = {};  // Block::known_digest
  friend bool operator==(const BlockMark&, const BlockMark&) = default;
};

// A value; not thread-safe.
class ProducerTable {
 public:
  // Blocks of one producer that are remembered one by one.
  static constexpr size_t kBlocksKept = 16;
  // Its fenced epochs of which it is remembered how far they came.
  static constexpr size_t kFencedKept = 4;
  // What this build writes at the best. The one before reads format 1 only.
  static constexpr int kFormat = 2;

  ProducerVerdict Check(const BlockStamp& stamp, uint32_t event_count,
                        std::optional<BlockMark> mark = std::nullopt) const;
  ProducerVerdict Check(const Block& block) const;
  // Records a block that Check called new (or any block of the chain, when rebuilding).
  void Apply(const BlockStamp& stamp, uint32_t event_count, Offset first,
             std::optional<BlockMark> mark = std::nullopt);
  void Apply(const Block& block, Offset first);
  // What came later: fills in the digest of that block, if it is remembered without one.
  void SetDigest(const BlockStamp& stamp, Offset first, uint32_t digest);

  // Notes that the producer was heard of. ForgetIdle drops those not heard of for `idle`; one that
  // was never heard of counts as heard of now, so that a takeover never shortens the time.
  void Touch(const ProducerId& producer, absl::Time now);
  void ForgetIdle(absl::Time now, absl::Duration idle);

  size_t size() const { return producers_.size(); }
  // Format 1 leaves out marks and fenced epochs.
  std::string Encode(int format) const;
  // Reads every format so far. DATA_LOSS when the bytes are no table.
  static absl::StatusOr<ProducerTable> Decode(std::string_view bytes);

  friend bool operator==(const ProducerTable& a, const ProducerTable& b) {
    return a.producers_ == b.producers_;
  }

 private:
  struct Kept {
    uint64_t first_sequence;
    uint64_t event_count;
    Offset offset;
    std::optional<BlockMark> mark;
    friend bool operator==(const Kept&, const Kept&) = default;
  };
  struct Fenced {
    uint64_t epoch;
    uint64_t next_sequence;
    Offset stored_to;  // its last block ends there
    friend bool operator==(const Fenced&, const Fenced&) = default;
  };
  struct Entry {
    uint64_t epoch = 0;
    uint64_t next_sequence = 0;
    uint64_t forgotten_below = 0;               // lower epochs that are not in `fenced`
    std::vector<Fenced> fenced;                 // lowest first
    std::vector<Kept> kept;                     // oldest first
    absl::Time heard = absl::InfiniteFuture();  // not part of the snapshot
    friend bool operator==(const Entry& a, const Entry& b) {
      return a.epoch == b.epoch && a.next_sequence == b.next_sequence &&
             a.forgotten_below == b.forgotten_below && a.fenced == b.fenced && a.kept == b.kept;
    }
  };
  static ProducerVerdict CheckFenced(const Entry& entry, const BlockStamp& stamp, uint64_t end);
  static ProducerVerdict CheckBehind(const Entry& entry, uint64_t first, uint64_t event_count,
                                     const std::optional<BlockMark>& mark);
  static void EncodeEntry(const Entry& entry, int format, std::string& out);

  std::map<ProducerId, Entry> producers_;
};

}  // namespace forebay
