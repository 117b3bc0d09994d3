// A drill in which fault after fault hits the cluster, in an order drawn from a seed.
#pragma once

#include <memory>

#include "drill/chaos_conductor.h"
#include "drill/drill_bed.h"

namespace forebay {

// Confined to one thread.
class ChaosDrill {
 public:
  ChaosDrill(const DrillOptions& options, ShutdownSignal& signal, DrillWatcher& watcher);
  ~ChaosDrill();
  absl::StatusOr<DrillReport> Run();

 private:
  absl::StatusOr<DrillReport> RunOnBed();
  ChaosScope LookAround();
  void MakeSinkBreaker();
  absl::Status Step();
  absl::StatusOr<DrillReport> Compare();
  absl::Duration Elapsed() { return bed_.clock().Now() - bed_.started(); }

  const DrillOptions& options_;
  DrillWatcher& watcher_;
  DrillBed bed_;
  ChaosReport report_;
  ClusterLevels levels_;
  absl::Duration levels_at_;
  std::unique_ptr<SinkBreaker> breaker_;
  std::unique_ptr<ChaosConductor> conductor_;
};

}  // namespace forebay
