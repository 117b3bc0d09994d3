// What `forebay bench` is asked for, and how it is written on the command line. Pure.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/remote_cluster.h"
#include "testbed/event_source.h"

namespace forebay {

// In the order in which they run.
enum class BenchPhase {
  kClosed,    // as fast as it goes
  kOpen,      // at a rate
  kBacklog,   // no sink takes anything: fill up
  kCatchUp,   // the sink is back, beside live traffic
  kFailover,  // owners are lost, under load
};
const char* NameOf(BenchPhase phase);

enum class BenchFault { kKill, kFreeze, kCut, kRestart };
const char* NameOf(BenchFault fault);

struct BenchOptions {
  RemoteNodes nodes;  // without addresses: nodes of the bench's own
  std::string stream;
  std::vector<BenchPhase> phases = {BenchPhase::kClosed, BenchPhase::kOpen};
  std::vector<BenchFault> faults = {BenchFault::kKill, BenchFault::kFreeze, BenchFault::kCut,
                                    BenchFault::kRestart};
  std::string input;  // empty: made up
  MadeUpEvents events = {.sizes = {{.bytes = 400}}, .keys = {}, .key_skew = 0};
  int producers = 4;
  uint32_t partitions = 6;  // of nodes of the bench's own
  double rate = 5000;       // of the open loop, and of live traffic
  // Of all producers, closed loop only. Nothing: 20'000, or fewer if they are large.
  std::optional<uint64_t> in_flight;
  absl::Duration warm_up = absl::Seconds(2);
  absl::Duration measured = absl::Seconds(10);
  uint64_t backlog_bytes = uint64_t{256} << 20;
  std::string sink = "sqlite";  // or sqlite:FILE
  bool etcd = false;
  std::string directory;
  std::vector<pid_t> pids;

  bool own_nodes() const { return nodes.addresses.empty(); }
  bool Has(BenchPhase phase) const;
  uint64_t InFlight(double event_bytes_mean) const;
};

// "closed,open"; in the order in which they run, each once. The errors of these say what to write.
absl::StatusOr<std::vector<BenchPhase>> ParsePhases(const std::string& text);
absl::StatusOr<std::vector<BenchFault>> ParseFaults(const std::string& text);
// "400", or sizes with weights: "200:70,1024:25,16KiB:5".
absl::StatusOr<std::vector<SizeShare>> ParseSizeMix(const std::string& text);

// Whether they go together. INVALID_ARGUMENT says what to change.
absl::Status Check(const BenchOptions& options);

}  // namespace forebay
