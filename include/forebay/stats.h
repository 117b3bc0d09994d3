// Numbers about a running Buffer or Client.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace forebay {

// How long blocks took for one stage of their way. Counted since Open; the difference of two is
// what came between them.
struct StageStats {
  static constexpr size_t kBuckets = 100;

  uint64_t blocks = 0;
  absl::Duration time;  // of all of them together
  // Blocks by their time. Bucket i holds those up to UpperBound(i), and is at most a quarter of it
  // wide, or a microsecond; the last one holds all that took longer, too.
  std::array<uint64_t, kBuckets> histogram{};

  static absl::Duration UpperBound(size_t bucket);
  absl::Duration Mean() const;
  // What a share of the blocks, 0 to 1, did not exceed. Zero when there are none.
  absl::Duration Quantile(double share) const;

  StageStats& operator+=(const StageStats& other);
  // `before` has counted more when there was a restart between: then all of `after` is new.
  friend StageStats operator-(StageStats after, const StageStats& before);
};

// Counters since Open, and levels now.
struct ProducerStats {
  uint64_t appended_events = 0;  // given to Append
  uint64_t acknowledged_events = 0;
  uint64_t not_stored_events = 0;  // reported as not stored
  uint64_t unknown_events = 0;     // reported as unknown
  uint64_t refused_events = 0;     // over a limit or out of memory; not stored
  uint64_t blocks_sent = 0;
  uint64_t blocks_retried = 0;
  uint64_t memory_bytes = 0;  // held by events that are not settled
  // From the append of a block's oldest event until the block was made.
  StageStats until_sealed;
  // From the append of a block's oldest event until the block was acknowledged.
  StageStats until_acknowledged;
};

}  // namespace forebay
