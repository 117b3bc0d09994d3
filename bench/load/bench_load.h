// The load of `forebay bench`: producers that append, and how long each event took.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/remote_cluster.h"
#include "forebay/clock.h"
#include "forebay/ids.h"
#include "forebay/stats.h"
#include "load/latency_histogram.h"
#include "testbed/event_source.h"

namespace forebay {

struct BenchLoadOptions {
  RemoteNodes nodes;
  StreamId stream;
  int producers = 4;
  // Events a second of all producers together, whatever the answers (open loop). 0: as many as
  // there is room for (closed loop).
  double rate = 0;
  // Events of all producers together, closed loop only; at least one for each.
  uint64_t in_flight = 0;
};

// What came of the load in a stretch of time.
struct BenchLoadResult {
  uint64_t acknowledged = 0;
  uint64_t failed = 0;  // since Start: not stored, or unknown
  double seconds = 0;
  // From when the event was due (open loop) or appended (closed loop) to its acknowledgement.
  LatencyHistogram latency;
  std::vector<uint64_t> by_partition;  // acknowledged; partitions at the end may be left out
  std::string first_failure;

  double PerSecond() const;
  // Of the acknowledged events, those in the partition that has most. 0: none.
  double LargestPartitionShare() const;
};

// Thread-safe but for Start and Stop. The clock and the source must outlive it.
class BenchLoad {
 public:
  static absl::StatusOr<std::unique_ptr<BenchLoad>> Connect(const BenchLoadOptions& options,
                                                            const EventSource& source,
                                                            Clock& clock);
  // Stops.
  ~BenchLoad();

  void Start();
  // What was settled since the last Take, or since Start.
  BenchLoadResult Take();
  // Since Start, of all producers together.
  ProducerStats stats() const;
  // Appends no more, and waits until all is settled, for a while. What is left then has failed.
  void Stop();

 private:
  class Producer;

  explicit BenchLoad(Clock& clock);

  Clock& clock_;
  std::vector<std::unique_ptr<Producer>> producers_;
  absl::Time taken_at_;
  bool stopped_ = false;
};

}  // namespace forebay
