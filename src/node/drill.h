// The drill: real nodes take real events, a zone is broken and healed, or fault after fault hits
// them in an order drawn from a seed, and what arrived is compared with what was acknowledged.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "forebay/clock.h"
#include "node/chaos_conductor.h"
#include "node/cluster_levels.h"
#include "node/cluster_watch.h"
#include "node/drill_load.h"
#include "node/drill_verdict.h"
#include "node/event_source.h"
#include "node/local_cluster.h"
#include "node/shutdown_signal.h"

namespace forebay {

inline constexpr char kMostOwners[] = "zone-of-most-owners";

struct ChaosOptions {
  absl::Duration length = absl::Minutes(1);
  uint64_t seed = 0;
};

// One kind of fault, again and again, on one cluster (round_kind.h).
struct RoundsOptions {
  std::string kind;
  int times = 20;
  uint64_t seed = 0;
};

struct DrillOptions {
  int zones = 3;
  int nodes_per_zone = 1;
  uint32_t partitions = 6;
  int producers = 4;
  std::string input;          // empty: made up
  uint64_t events = 100'000;  // 0: until told to stop
  double rate = 0;            // 0: RateOf
  Fault fault = Fault::kKill;
  std::string target = kMostOwners;
  std::optional<ChaosOptions> chaos;    // instead of the fault; how many events follows from it
  std::optional<RoundsOptions> rounds;  // instead of both; events is 0
  // Or sqlite:FILE, postgres (a server of the drill's own), postgres://..., files:DIRECTORY
  std::string sink = "sqlite";
  bool etcd = false;
  bool tls = false;   // between nodes, and of clients; with certificates of the drill's own
  bool keep = false;  // the directory, also when all went well
};

// Events per second: as given, or such that the drill takes about a quarter of a minute.
double RateOf(const DrillOptions& options);
const char* NameOf(Fault fault);

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

// What the drill shows while it runs.
struct DrillMoment {
  absl::Duration elapsed;
  DrillLoadCounts counts;
  uint64_t events = 0;
  std::string doing;
};
class DrillWatcher {
 public:
  virtual ~DrillWatcher() = default;
  virtual void Moment(const DrillMoment& moment) = 0;  // many times a second
  virtual void Said(const std::string& line) = 0;      // what happened
};

// Blocks. UNAVAILABLE: something did not start; the message names its log. CANCELLED: stopped by
// the signal; nothing is left over.
absl::StatusOr<DrillReport> RunDrill(const DrillOptions& options, ShutdownSignal& signal,
                                     DrillWatcher& watcher);

}  // namespace forebay
