// Durations, sizes and counts as people write them: "2ms", "64MiB", "10000".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace forebay {

// "2ms", "1.5s", "10m", "24h", "inf". A number without a unit is refused, except 0.
absl::StatusOr<absl::Duration> ParseDurationText(const std::string& text);
std::string DurationText(absl::Duration duration);

// "512", "4KiB", "64MiB", "1GiB"; "64 MiB", "64MB" (10^6) too.
absl::StatusOr<uint64_t> ParseSizeText(const std::string& text);
// The largest unit that divides it: 65536 -> "64KiB".
std::string SizeText(uint64_t bytes);

// The candidate that a misspelt word most likely meant; empty when none is near.
std::string Nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace forebay
