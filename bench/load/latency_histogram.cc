#include "load/latency_histogram.h"

#include <algorithm>

namespace forebay {

void LatencyHistogram::Add(absl::Duration latency) {
  const int64_t nanoseconds = std::max<int64_t>(absl::ToInt64Nanoseconds(latency), 0);
  ++buckets_[Buckets::Of(static_cast<uint64_t>(nanoseconds))];
  ++count_;
  max_ = std::max(max_, nanoseconds);
}

void LatencyHistogram::Add(const LatencyHistogram& other) {
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

absl::Duration LatencyHistogram::Quantile(double share) const {
  const size_t bucket = BucketOfShare(buckets_, count_, share);
  if (bucket == buckets_.size()) return absl::ZeroDuration();
  return std::min(absl::Nanoseconds(Buckets::HighestIn(bucket)), max());
}

}  // namespace forebay
