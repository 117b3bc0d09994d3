// What the phases of `forebay bench` come to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "drill/drill_verdict.h"
#include "load/bench_load.h"
#include "load/bench_options.h"
#include "load/bench_stages.h"
#include "load/latency_recovery.h"
#include "testbed/process_usage.h"

namespace forebay {

// A stretch of load, with what the nodes used for it if they run on this machine.
struct Measurement {
  double rate = 0;  // asked for; 0: closed loop
  BenchLoadResult load;
  double bytes_taken_in = 0;
  ProcessUsage nodes;
  double client_cpu_seconds = 0;
  std::vector<StageRow> stages;

  double PerMillion(double seconds) const;
  double WrittenPerByte() const;
  double Milliseconds(double share) const;
};

// Memory of a node, resident, in MiB.
struct NodeMemory {
  std::string node;
  double before = 0, largest = 0, after = 0;
};

struct BacklogResult {
  Measurement fill;
  uint64_t events = 0;  // not delivered at the end
  std::vector<NodeMemory> memory;
  double disk_mib = 0;  // of all nodes, at the end
};

struct CatchUpResult {
  Measurement before, during;  // live traffic: nothing delivered yet; until the sink had caught up
  uint64_t backlog_events = 0;
  uint64_t delivered_events = 0;  // during
  bool caught_up = false;
  bool sink_beside_nodes = false;  // on their disk
  std::vector<NodeMemory> memory;
};

// What one fault, or the restart of one node, did to those who append.
struct FaultResult {
  std::string fault, target;
  size_t partitions = 0;  // that it owned
  AckGaps gaps;           // while it lasted
  // From the fault to the first acknowledgement of an event sent after it, of the first and of the
  // last of the partitions that the target owned. Nothing: a restart, or never.
  std::optional<double> takeover_ms, takeover_all_ms;
  // From the fault until other nodes own all of its partitions, also those without events.
  std::optional<double> new_owners_ms;
  LatencyRecovery latency;
  std::optional<absl::Duration> whole;  // from its end until every copy was there again
};

struct FailoverResult {
  double rate = 0;
  uint64_t acknowledged = 0, failed = 0;
  std::string first_failure;
  std::vector<FaultResult> faults;
};

struct PhaseResult {
  BenchPhase phase = BenchPhase::kClosed;
  // One of them.
  std::optional<Measurement> load = {};
  std::optional<BacklogResult> backlog = {};
  std::optional<CatchUpResult> catch_up = {};
  std::optional<FailoverResult> failover = {};

  // No append failed, and what was to end has ended.
  bool Passed() const;
};

}  // namespace forebay
