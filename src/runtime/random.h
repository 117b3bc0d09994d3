// Random numbers from a seed, the same on every machine (splitmix64, Steele et al., OOPSLA 2014).
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace forebay {

// Not thread-safe.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  // Seeded by the operating system.
  static Random FromSystem();

  uint64_t Next();
  // Uniform in [0, bound); bound > 0.
  uint64_t Below(uint64_t bound);
  // True with the given probability.
  bool Chance(double probability);
  // Uniform in [from, to).
  absl::Duration Between(absl::Duration from, absl::Duration to);
  // 128 random bits, in hex.
  std::string HexId();

 private:
  uint64_t state_;
};

}  // namespace forebay
