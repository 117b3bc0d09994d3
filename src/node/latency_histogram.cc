#include "node/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace forebay {

size_t LatencyHistogram::BucketOf(uint64_t nanoseconds) {
  // The first 64 buckets hold one value each; after them, each power of two has 64.
  const int width = std::bit_width(nanoseconds);
  if (width <= kFineBits) return nanoseconds;
  const int shift = width - kFineBits - 1;
  const uint64_t fine = (nanoseconds >> shift) - (1u << kFineBits);
  return (static_cast<size_t>(shift + 1) << kFineBits) + fine;
}

uint64_t LatencyHistogram::HighestIn(size_t bucket) {
  const size_t power = bucket >> kFineBits;
  const uint64_t fine = bucket & ((1u << kFineBits) - 1);
  if (power == 0) return fine;
  return (((fine + (1u << kFineBits)) + 1) << (power - 1)) - 1;
}

void LatencyHistogram::Add(absl::Duration latency) {
  const int64_t nanoseconds = std::max<int64_t>(absl::ToInt64Nanoseconds(latency), 0);
  ++buckets_[BucketOf(static_cast<uint64_t>(nanoseconds))];
  ++count_;
  max_ = std::max(max_, nanoseconds);
}

void LatencyHistogram::Add(const LatencyHistogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

absl::Duration LatencyHistogram::Quantile(double share) const {
  const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(count_)));
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen > 0 && seen >= wanted) {
      return std::min(absl::Nanoseconds(HighestIn(i)), max());
    }
  }
  return absl::ZeroDuration();
}

}  // namespace forebay
