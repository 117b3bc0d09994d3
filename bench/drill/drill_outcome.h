// What a drill came to: the verdict on its events, and how each fault went.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "drill/chaos_conductor.h"
#include "drill/drill_verdict.h"
#include "testbed/cluster_levels.h"
#include "testbed/cluster_watch.h"

namespace forebay {

// What a fault of a chaos drill came to.
struct ChaosRecord {
  ChaosSpan span;
  AckGaps gaps;  // of the acknowledgements, while it lasted
};

struct ChaosReport {
  std::vector<ChaosRecord> faults;
  std::vector<ClusterSample> samples;
  std::vector<double> acknowledged;  // events in each whole second
  absl::Time started;
  std::vector<LevelsRow> levels;      // see ClusterLevels; empty: too short
  std::vector<std::string> left_out;  // kinds of faults that were not possible here, and why
};

// What became of a bit that was flipped.
struct FlippedBit {
  std::string kind;        // of file: "log"
  bool found = false;      // and mended, or the round would not have ended
  std::string harmless{};  // not found: why it cannot matter; empty: it may
};

// A round, as it went.
struct Round {
  int number = 0;                                     // from 1
  std::string what = {};                              // was done
  absl::Time began = {}, in_effect = {}, ended = {};  // the fault
  // From the end of the fault until every copy was there again. Nothing: not in time.
  std::optional<absl::Duration> replicated = {};
  // Acknowledged from the fault on, of the first round from the start on, until the next round's.
  AcksDuring acks = {};
  AckGaps gaps = {};  // while the fault lasted
  std::optional<FlippedBit> flip = {};
};

struct RoundsReport {
  std::vector<Round> rounds;
};

struct DrillReport {
  DrillVerdict verdict;
  bool repaired = true;               // every copy was there again in time
  ZoneId target;                      // empty: no fault
  std::optional<double> repaired_ms;  // from the fault until every copy was there again
  double seconds = 0;                 // of sending
  uint64_t failed = 0;                // appends that ended as not stored or unknown
  std::vector<std::string> failures;  // what the first of them were told
  std::string directory;              // empty: removed
  std::optional<ChaosReport> chaos;
  std::optional<RoundsReport> rounds;

  // Nothing lost, duplicated or out of order, everything acknowledged, all copies there again.
  bool Passed() const;
};

}  // namespace forebay
