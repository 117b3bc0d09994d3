// Keys of which some come more often than others: the k-th of N with a share in proportion to
// 1 / k^S (Zipf's law). Pure.
#pragma once

#include <cstdint>
#include <vector>

namespace forebay {

// Immutable; any thread.
class ZipfKeys {
 public:
  // At least one key. Skew 0: all equally often; 1: as words of a language.
  ZipfKeys(uint64_t keys, double skew);

  // The key of an event, from 0, the most frequent one; the same for the same number.
  uint64_t Of(uint64_t event) const;
  // Of all events.
  double ShareOf(uint64_t key) const;

 private:
  std::vector<double> up_to_;  // the share of this key and all before
};

}  // namespace forebay
