#include "forebay/stats.h"

#include "base/log_buckets.h"
#include "base/stage_counter.h"

namespace forebay {

absl::Duration StageStats::UpperBound(size_t bucket) {
  return absl::Microseconds(static_cast<int64_t>(StageBuckets::HighestIn(bucket)) + 1);
}

absl::Duration StageStats::Mean() const {
  return blocks == 0 ? absl::ZeroDuration() : time / static_cast<double>(blocks);
}

absl::Duration StageStats::Quantile(double share) const {
  const size_t bucket = BucketOfShare(histogram, blocks, share);
  return bucket == kBuckets ? absl::ZeroDuration() : UpperBound(bucket);
}

StageStats& StageStats::operator+=(const StageStats& other) {
  blocks += other.blocks;
  time += other.time;
  for (size_t i = 0; i < kBuckets; ++i) histogram[i] += other.histogram[i];
  return *this;
}

StageStats operator-(StageStats after, const StageStats& before) {
  if (after.blocks < before.blocks) return after;
  after.blocks -= before.blocks;
  after.time -= before.time;
  for (size_t i = 0; i < StageStats::kBuckets; ++i) after.histogram[i] -= before.histogram[i];
  return after;
}

}  // namespace forebay
