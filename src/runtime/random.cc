#include "runtime/random.h"

#include <random>

#include "absl/strings/str_format.h"

namespace forebay {

Random Random::FromSystem() {
  std::random_device device;
  return Random((uint64_t{device()} << 32) | device());
}

uint64_t Random::Next() {
  state_ += 0x9E3779B97F4A7C15;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

uint64_t Random::Below(uint64_t bound) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
}

bool Random::Chance(double probability) {
  return static_cast<double>(Next() >> 11) * 0x1p-53 < probability;
}

absl::Duration Random::Between(absl::Duration from, absl::Duration to) {
  const int64_t width = absl::ToInt64Nanoseconds(to - from);
  return width <= 0
             ? from
             : from + absl::Nanoseconds(static_cast<int64_t>(Below(static_cast<uint64_t>(width))));
}

std::string Random::HexId() { return absl::StrFormat("%016x%016x", Next(), Next()); }

}  // namespace forebay
