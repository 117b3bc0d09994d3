// Runs of single seeds, and what they add up to.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "simulation/world.h"

namespace forebay {

struct SeedResult {
  std::optional<std::string> broken;  // which invariant, and how
  std::map<std::string, uint64_t> counters;
  FaultCoverage coverage;
  absl::Duration simulated;
  uint64_t steps = 0;
};

// The plan may be another one than the seed's own.
SeedResult RunSeed(uint64_t seed, const Plan& plan, TraceLine trace);
// In a process of its own, because a failed FOREBAY_CHECK aborts. How it failed, if it did.
std::optional<std::string> RunSeedApart(uint64_t seed, const Plan& plan);

// Tells of a failed seed: the last events, the mix, and a short script that fails the same way.
void ReportFailure(uint64_t seed, const Plan& plan, const std::string& broken);

// The sum of many runs; can be sent from one process to another.
struct SeedTotals {
  uint64_t passed = 0, failed = 0, steps = 0;
  absl::Duration simulated;
  std::map<std::string, uint64_t> counters;  // of "heal ms" the highest
  FaultCoverage coverage;

  void Add(const SeedResult& result);
  void Add(const SeedTotals& other);
  std::string Encode() const;
  static SeedTotals Decode(const std::string& text);
};

}  // namespace forebay
