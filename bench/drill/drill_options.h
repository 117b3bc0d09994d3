// What a drill is asked to do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "testbed/local_cluster.h"

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

}  // namespace forebay
