// The phases of `forebay bench` that hold nothing up and break nothing, and those that do.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "load/bench_bed.h"
#include "load/bench_result.h"
#include "testbed/sink_breaker.h"

namespace forebay {

// Each blocks. CANCELLED: by the signal. UNAVAILABLE: something did not start, or ended; the
// message names its log. The bed's nodes run already.

// kClosed, kOpen.
absl::StatusOr<Measurement> RunSteadyPhase(BenchBed& bed, BenchPhase phase);

// kBacklog and then kCatchUp; the nodes have a sink. Confined to one thread.
class BacklogPhases {
 public:
  explicit BacklogPhases(BenchBed& bed) : bed_(bed) {}

  // From now on the sink takes nothing; fills up until --backlog bytes wait for it.
  absl::StatusOr<BacklogResult> Fill();
  // The sink is back beside live traffic.
  absl::StatusOr<CatchUpResult> CatchUp();

 private:
  struct Waiting {
    uint64_t delivered = 0, lag = 0;  // events
    size_t partitions = 0;            // that are delivered or would be
  };
  absl::StatusOr<Waiting> Look();
  absl::Status HoldSinkUp();
  absl::Status DrainWhile(BenchLoad& load, MemoryWatch& memory, const Waiting& start,
                          CatchUpResult& out);

  BenchBed& bed_;
  std::unique_ptr<SinkBreaker> breaker_;
};

// kFailover; the nodes are cuttable if that is one of the faults.
absl::StatusOr<FailoverResult> RunFailoverPhase(BenchBed& bed);

}  // namespace forebay
