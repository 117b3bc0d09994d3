// A batch in the making and in delivery: slices of committed blocks, decoded on a worker.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "block/block.h"
#include "drain/drain.h"
#include "forebay/event.h"
#include "forebay/ids.h"
#include "wal/wal_store.h"

namespace forebay {

// What a block counts for against a limit in bytes: its events, raw, and what the block itself
// takes in memory. So a limit in bytes is one on the number of blocks too, however small they are.
uint64_t CostOf(const Block& block);

// Used by one executor at a time, but for planned_end(): the loop makes it, a worker decodes and
// reads it, and when that has returned the loop looks at it again.
class DrainBatch {
 public:
  explicit DrainBatch(Offset first) : first_(first), planned_end_(first) {}

  Offset first() const { return first_; }
  // What was added ends here.
  Offset planned_end() const { return planned_end_; }
  // The same, or after Decode where a block begins that cannot be decoded.
  Offset end() const { return bad_ ? std::max(first_, bad_->first) : planned_end_; }
  uint64_t cost_bytes() const { return cost_bytes_; }

  // Before Decode.
  void Add(Block block, uint32_t skip, uint32_t count);
  // Once; later calls do nothing. What precedes a block that cannot be decoded is decoded.
  void Decode();
  const std::optional<BadBlock>& bad() const { return bad_; }
  // After Decode. [from, from + count) must lie in the batch.
  absl::Span<const Event> Events(Offset from, size_t count) const;

 private:
  struct Slice {
    Block block;
    uint32_t skip;
    uint32_t count;
  };

  Offset first_;
  Offset planned_end_;
  uint64_t cost_bytes_ = 0;
  std::vector<Slice> slices_;
  std::vector<Event> events_;
  std::optional<BadBlock> bad_;
};

struct BatchLimits {
  size_t bytes_max;  // by CostOf; an event that alone is larger goes alone
  size_t events_max;
};

// Blocks read and not yet in a batch: consecutive from begin() to end().
class ReadBuffer {
 public:
  // Forgets everything; the next block to add holds `at`.
  void Reset(Offset at);

  bool empty() const { return blocks_.empty(); }
  Offset begin() const { return begin_; }
  Offset end() const { return blocks_.empty() ? begin_ : blocks_.back().end(); }
  uint64_t cost_bytes() const { return cost_bytes_; }
  // More blocks would not make the next batch larger.
  bool HoldsBatch(const BatchLimits& limits) const;

  // DATA_LOSS when the blocks do not continue at end(); then nothing is added.
  absl::Status Add(std::vector<StoredBlock> blocks);

  // The next batch, of events below `committed` only. There must be one.
  DrainBatch Take(Offset committed, const BatchLimits& limits);

 private:
  std::deque<StoredBlock> blocks_;
  Offset begin_;  // inside the first block, perhaps
  uint64_t cost_bytes_ = 0;
};

}  // namespace forebay
