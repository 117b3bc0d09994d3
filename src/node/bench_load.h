// The load of `forebay bench`: producers that append for a while, and how long each event took.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "forebay/clock.h"
#include "forebay/ids.h"
#include "node/event_source.h"
#include "node/latency_histogram.h"
#include "rpc/remote_cluster.h"

namespace forebay {

struct BenchLoadOptions {
  RemoteNodes nodes;
  StreamId stream;
  int producers = 4;
  // Events a second of all producers together, whatever the answers (open loop). 0: as many as
  // there is room for (closed loop).
  double rate = 0;
  uint64_t in_flight = 20'000;  // events of all producers together, closed loop only
  absl::Duration warm_up = absl::Seconds(2);
  absl::Duration measured = absl::Seconds(10);
};

struct BenchLoadResult {
  uint64_t acknowledged = 0;  // in the measured time
  uint64_t failed = 0;        // in all: not stored, or unknown
  double seconds = 0;
  // From when the event was due (open loop) or appended (closed loop) to its acknowledgement.
  LatencyHistogram latency;
  std::string first_failure;
};

struct BenchHooks {
  // Called when the warm-up is over, and again when the measured time is.
  std::function<void(bool begins)> measuring;
  // Waits; true when the bench is to stop.
  std::function<bool(absl::Duration)> wait;
};

// Blocks. CANCELLED: it was told to stop.
absl::StatusOr<BenchLoadResult> RunBenchLoad(const BenchLoadOptions& options,
                                             const EventSource& source, Clock& clock,
                                             const BenchHooks& hooks);

}  // namespace forebay
