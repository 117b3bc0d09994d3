// Buckets for a histogram of numbers, none wider than 1/2^kFineBits of what it holds.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace forebay {

// The first 2^kFineBits buckets hold one number each; after them, each power of two has as many.
template <int kFineBits>
struct LogBuckets {
  // Of all numbers.
  static constexpr size_t kCount = size_t{64 - kFineBits + 1} << kFineBits;

  static constexpr size_t Of(uint64_t number) {
    const int width = std::bit_width(number);
    if (width <= kFineBits) return number;
    const int shift = width - kFineBits - 1;
    const uint64_t fine = (number >> shift) - (uint64_t{1} << kFineBits);
    return (static_cast<size_t>(shift + 1) << kFineBits) + fine;
  }

  static constexpr uint64_t HighestIn(size_t bucket) {
    const size_t power = bucket >> kFineBits;
    const uint64_t fine = bucket & ((uint64_t{1} << kFineBits) - 1);
    if (power == 0) return fine;
    return ((fine + (uint64_t{1} << kFineBits) + 1) << (power - 1)) - 1;
  }
};

// The bucket up to which a share, 0 to 1, of all that was counted lies; buckets.size(): nothing
// was.
inline size_t BucketOfShare(absl::Span<const uint64_t> buckets, uint64_t count, double share) {
  const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(count)));
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    seen += buckets[i];
    if (seen > 0 && seen >= wanted) return i;
  }
  return buckets.size();
}

}  // namespace forebay
