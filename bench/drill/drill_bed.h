// What every drill stands on: a cluster, producers, a sink, and the comparison at the end.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "drill/drill_options.h"
#include "drill/drill_outcome.h"
#include "drill/drill_progress.h"
#include "node/shutdown_signal.h"
#include "runtime/mutex.h"
#include "runtime/real_clock.h"
#include "testbed/cluster_watch.h"
#include "testbed/event_source.h"
#include "testbed/local_cluster.h"
#include "testbed/local_postgres.h"

namespace forebay {

// Confined to one thread.
class DrillBed {
 public:
  DrillBed(const DrillOptions& options, ShutdownSignal& signal, DrillWatcher& watcher);
  ~DrillBed();

  // Makes the directory, starts everything, connects the producers.
  absl::Status Prepare(const LocalClusterOptions& extra);
  void StartLoad();
  // Waits a tick and shows how far it is. CANCELLED: by the signal. UNAVAILABLE: a process ended.
  // DEADLINE_EXCEEDED: producers that cannot send for so long will never send all.
  absl::Status Turn(const std::string& doing);
  // Everything was sent: waits until all is acknowledged, delivered and `repaired`, or the limit is
  // over. `turn` is called all the time.
  absl::Status WindDown(const std::function<absl::Status()>& turn,
                        const std::function<bool()>& repaired);
  // The nodes of the cluster that take part have changed.
  void ExpectNodes();
  // What was sent, acknowledged and delivered, with the verdict on it.
  absl::StatusOr<DrillReport> Compare(const std::optional<DrillFault>& fault);
  // Stops everything and removes the directory, unless it is to be kept.
  void Close(absl::StatusOr<DrillReport>& report);

  LocalCluster& cluster() { return *cluster_; }
  DrillLoad& load() { return *load_; }
  ClusterWatch& watch() { return *watch_; }
  LocalPostgres* postgres() { return postgres_.get(); }  // nullptr: not of the drill's own
  const StreamOptions& stream() const { return stream_; }
  const LocalSink& sink() const { return sink_; }
  Clock& clock() { return clock_; }
  absl::Time started() const { return started_; }

 private:
  absl::Status PlaceSink();
  absl::Status StartCluster(LocalClusterOptions options);
  bool MayHaveNetworks();
  bool Settled() const;
  bool Drained();

  const DrillOptions& options_;
  ShutdownSignal& signal_;
  DrillWatcher& watcher_;
  const std::string name_;  // of the stream and the sink: unique, for sinks that outlive the drill
  RealClock clock_;
  EventSource source_ = EventSource::MadeUp(0);
  StreamOptions stream_;
  std::string directory_;
  LocalSink sink_;
  std::unique_ptr<LocalPostgres> postgres_;
  std::unique_ptr<LocalCluster> cluster_;
  std::unique_ptr<DrillLoad> load_;
  Mutex mutex_;
  std::set<NodeId> nodes_ ABSL_GUARDED_BY(mutex_);  // that take part
  std::unique_ptr<ClusterWatch> watch_;             // stops before what it uses
  absl::Time started_, sent_all_;
  absl::Time drain_looked_at_ = absl::InfinitePast();
  bool drained_ = false;
};

}  // namespace forebay
