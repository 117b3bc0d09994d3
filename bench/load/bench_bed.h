// What every phase of `forebay bench` stands on: nodes, events, and a way to measure.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "drill/drill_progress.h"
#include "load/bench_options.h"
#include "load/bench_result.h"
#include "node/shutdown_signal.h"
#include "runtime/real_clock.h"
#include "testbed/local_cluster.h"

namespace forebay {

// Confined to one thread.
class BenchBed {
 public:
  // The watcher is told how far it is.
  BenchBed(const BenchOptions& options, ShutdownSignal& signal, DrillWatcher& watcher);
  // Stops the nodes that it started, and removes their data unless Keep was called.
  ~BenchBed();

  // Makes the events; looks for the stream of running nodes.
  absl::Status Prepare();
  // Fresh nodes, unless there are running ones. With a sink they deliver to it. INVALID_ARGUMENT:
  // its file is there already.
  absl::Status StartNodes(bool with_sink, bool cuttable);
  void StopNodes();
  // What went wrong can be seen in the data directory, which this names; empty: there is none.
  std::string Keep();

  // Rate 0: the closed loop.
  absl::StatusOr<std::unique_ptr<BenchLoad>> Connect(double rate);
  // Waits, and shows how far the load is. CANCELLED: by the signal. UNAVAILABLE: a node ended.
  absl::Status Spend(absl::Duration time, BenchLoad& load, const std::string& doing);
  // The same for as long as `go_on` says so.
  absl::Status SpendWhile(const std::function<absl::StatusOr<bool>()>& go_on, BenchLoad& load,
                          const std::string& doing);

  const BenchOptions& options() const { return options_; }
  const EventSource& source() const { return source_; }
  LocalCluster& cluster() { return *cluster_; }  // only with nodes of its own
  RemoteCluster& remote() { return *remote_; }
  const StreamOptions& stream() const { return stream_; }  // of nodes of its own; else the name
  const std::string& sink_file() const { return sink_file_; }
  const std::vector<pid_t>& pids() const { return pids_; }
  Clock& clock() { return clock_; }
  ShutdownSignal& signal() { return signal_; }
  DrillWatcher& watcher() { return watcher_; }

 private:
  absl::Status MakeDirectory();
  absl::Status PlaceSink();

  const BenchOptions& options_;
  ShutdownSignal& signal_;
  DrillWatcher& watcher_;
  RealClock clock_;
  absl::Time started_;
  EventSource source_ = EventSource::MadeUp(0);
  StreamOptions stream_;
  std::vector<pid_t> pids_;
  std::string directory_;
  bool keep_ = false;
  std::string sink_file_;
  std::unique_ptr<LocalCluster> cluster_;
  std::unique_ptr<RemoteCluster> own_remote_;  // to running nodes
  RemoteCluster* remote_ = nullptr;
};

// Measures a stretch of a load: from its making until End.
class Meter {
 public:
  Meter(BenchBed& bed, BenchLoad& load, double rate);
  Measurement End();

 private:
  BenchBed& bed_;
  BenchLoad& load_;
  const double rate_;
  ProcessUsage nodes_;
  double client_cpu_seconds_ = 0;
  std::optional<StageSnapshot> stages_;
};

// Watches the nodes' memory.
class MemoryWatch {
 public:
  explicit MemoryWatch(BenchBed& bed);
  // Now and then.
  void Look();
  // A node each.
  const std::vector<NodeMemory>& nodes() const { return nodes_; }
  double disk_mib() const { return disk_mib_; }

 private:
  BenchBed& bed_;
  std::vector<NodeMemory> nodes_;
  double disk_mib_ = 0;  // of all nodes, at the last look
};

}  // namespace forebay
