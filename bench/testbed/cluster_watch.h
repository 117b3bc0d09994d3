// Looks at a cluster's status again and again, beside whatever is done to it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "absl/time/time.h"
#include "client/remote_cluster.h"
#include "forebay/clock.h"
#include "forebay/options.h"
#include "runtime/mutex.h"
#include "runtime/thread_executor.h"

namespace forebay {

struct ClusterSample {
  absl::Time at;             // when it was asked for
  int nodes_silent = 0;      // of those that should answer
  int under_replicated = 0;  // segments, at the best of the last moments (see HasAllCopies)
  int without_owner = 0;     // partitions of the stream whose owner does not answer
  uint64_t lag_events = 0;   // acknowledged, and not yet in the sink as far as is known
  bool all_up = false;       // nodes and owners
  // Every partition was seen with all its copies at this time or later.
  absl::Time whole_at = absl::InfinitePast();
};

// Thread-safe. What it is given must outlive it.
class ClusterWatch {
 public:
  struct Options {
    StreamOptions stream;
    SinkId sink;
    // That take part: only they are looked at. Called on a thread of the watch.
    std::function<std::set<NodeId>()> nodes;
    absl::Duration every;
    std::function<uint64_t()> acknowledged;  // events so far; called on a thread of the watch
  };
  ClusterWatch(Options options, RemoteCluster& cluster, Clock& clock);
  ~ClusterWatch();

  void Start();
  // In order of time.
  std::vector<ClusterSample> samples() const;
  // The last one; all zero before the first.
  ClusterSample last() const;

 private:
  void Look();
  ClusterSample Sample();
  void NoteCopies(const ClusterStatus& status, ClusterSample& sample);

  const Options options_;
  RemoteCluster& cluster_;
  Clock& clock_;
  // The last known cursor of each partition: that of a silent owner stays.
  std::map<PartitionId, Offset> cursors_;  // on the executor only
  struct Copies {
    std::deque<int> missing;  // at the last moments
    absl::Time whole_at = absl::InfinitePast();
  };
  std::map<PartitionId, Copies> copies_;  // on the executor only

  mutable Mutex mutex_;
  std::vector<ClusterSample> samples_ ABSL_GUARDED_BY(mutex_);

  ThreadExecutor executor_;  // stops first: its task uses all of the above
};

}  // namespace forebay
