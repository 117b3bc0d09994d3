#include "testbed/zipf_keys.h"

#include <algorithm>
#include <cmath>

#include "runtime/random.h"

namespace forebay {

ZipfKeys::ZipfKeys(uint64_t keys, double skew) : up_to_(keys) {
  double sum = 0;
  for (uint64_t i = 0; i < keys; ++i)
    up_to_[i] = sum += std::pow(static_cast<double>(i + 1), -skew);
  for (double& share : up_to_) share /= sum;
  up_to_.back() = 1;
}

uint64_t ZipfKeys::Of(uint64_t event) const {
  // 53 bits are what a double holds.
  const double drawn = static_cast<double>(Random(event).Next() >> 11) * 0x1p-53;
  return static_cast<uint64_t>(std::upper_bound(up_to_.begin(), up_to_.end(), drawn) -
                               up_to_.begin());
}

double ZipfKeys::ShareOf(uint64_t key) const {
  return up_to_[key] - (key == 0 ? 0 : up_to_[key - 1]);
}

}  // namespace forebay
