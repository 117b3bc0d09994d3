// The counters behind a StageStats.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "base/log_buckets.h"
#include "forebay/stats.h"

namespace forebay {

using StageBuckets = LogBuckets<2>;  // of microseconds

// Thread-safe, without a lock. A reader may see a block in one number and not yet in another.
class StageCounter {
 public:
  void Add(absl::Duration time) {
    const auto nanoseconds =
        static_cast<uint64_t>(std::max<int64_t>(absl::ToInt64Nanoseconds(time), 0));
    const size_t bucket = std::min(StageBuckets::Of(nanoseconds / 1000), StageStats::kBuckets - 1);
    histogram_[bucket].fetch_add(1, std::memory_order_relaxed);
    nanoseconds_.fetch_add(nanoseconds, std::memory_order_relaxed);
  }

  StageStats Read() const {
    StageStats stats;
    for (size_t i = 0; i < StageStats::kBuckets; ++i) {
      stats.histogram[i] = histogram_[i].load(std::memory_order_relaxed);
      stats.blocks += stats.histogram[i];
    }
    const uint64_t nanoseconds = nanoseconds_.load(std::memory_order_relaxed);
    stats.time = absl::Nanoseconds(static_cast<int64_t>(nanoseconds));
    return stats;
  }

 private:
  std::array<std::atomic<uint64_t>, StageStats::kBuckets> histogram_{};
  std::atomic<uint64_t> nanoseconds_ = 0;
};

}  // namespace forebay
