// Latencies, counted in buckets that are never wider than 1/64 of their value.
#pragma once

#include <array>
#include <cstdint>

#include "absl/time/time.h"
#include "base/log_buckets.h"

namespace forebay {

// Not thread-safe. From 1 ns to hours.
class LatencyHistogram {
 public:
  void Add(absl::Duration latency);
  void Add(const LatencyHistogram& other);

  uint64_t count() const { return count_; }
  absl::Duration max() const { return absl::Nanoseconds(max_); }
  // The latency that a share of all, 0 to 1, did not exceed. Zero when there is none.
  absl::Duration Quantile(double share) const;

 private:
  using Buckets = LogBuckets<6>;  // of nanoseconds

  std::array<uint64_t, Buckets::kCount> buckets_{};
  uint64_t count_ = 0;
  int64_t max_ = 0;
};

}  // namespace forebay
