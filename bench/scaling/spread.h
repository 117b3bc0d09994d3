// Spread: how evenly something lies on nodes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace forebay::scaling {

struct Spread {
  uint64_t min = 0, median = 0, max = 0, sum = 0;

  static Spread Of(std::vector<uint64_t> values) {
    Spread spread;
    if (values.empty()) return spread;
    std::sort(values.begin(), values.end());
    for (const uint64_t value : values) spread.sum += value;
    spread.min = values.front();
    spread.median = values[values.size() / 2];
    spread.max = values.back();
    return spread;
  }
};

}  // namespace forebay::scaling
