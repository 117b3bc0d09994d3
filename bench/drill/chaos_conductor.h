// Carries a plan of faults out on a local cluster.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "drill/chaos_plan.h"
#include "testbed/local_cluster.h"
#include "testbed/sink_breaker.h"

namespace forebay {

// A fault that has begun. Times count from the start of the load.
struct ChaosSpan {
  ChaosFault fault;    // as planned
  std::string target;  // the fault's; of a rolling restart the node
  absl::Duration began;
  std::optional<absl::Duration> ended;
  // From the end until every copy was there again, or until the sink had caught up. Nothing:
  // another fault came first.
  std::optional<absl::Duration> recovered;
};

// The last look at the cluster.
struct ClusterLook {
  absl::Duration at = -absl::InfiniteDuration();  // it was asked for
  bool all_up = false;
  absl::Duration whole_at = -absl::InfiniteDuration();  // as ClusterSample's
  uint64_t lag_events = 0;
};

// Confined to the cluster's thread.
class ChaosConductor {
 public:
  struct Place {
    LocalCluster& cluster;
    SinkBreaker* sink;  // nullptr: no fault of the sink is in the plan
    std::function<void(absl::Duration now, const std::string& line)> say;
    double rate = 0;  // of the load; a sink that is less than a second behind has caught up
  };
  ChaosConductor(std::vector<ChaosFault> plan, Place place);
  ~ChaosConductor();

  // Ends and begins what is due. A fault that may not overlap with one that takes longer than
  // planned waits, and all after it.
  absl::Status Turn(absl::Duration now, const ClusterLook& look);
  // All have begun and ended, and every copy is there again.
  bool Done() const;
  // What is under way, for people.
  std::string Doing() const;
  const std::vector<ChaosSpan>& spans() const { return spans_; }

 private:
  struct Running;

  absl::Status Begin(const ChaosFault& fault);
  absl::Status End(Running& running);
  absl::Status Progress(Running& running);
  absl::Status Flap(Running& running);
  absl::Status RestartNext(Running& running);
  bool WholeSince(absl::Duration time) const;
  absl::Duration LastEnd() const;
  void Recover();
  size_t Open(const ChaosFault& fault, std::string target);

  const std::vector<ChaosFault> plan_;
  Place place_;
  absl::Duration now_;
  ClusterLook look_;
  size_t next_ = 0;
  std::vector<std::unique_ptr<Running>> running_;
  std::vector<ChaosSpan> spans_;
};

}  // namespace forebay
