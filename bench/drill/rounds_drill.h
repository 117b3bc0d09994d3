// A drill that repeats one kind of fault, round after round, on one cluster under steady load.
#pragma once

#include "drill/drill_bed.h"
#include "drill/round_kind.h"

namespace forebay {

// Confined to one thread.
class RoundsDrill {
 public:
  RoundsDrill(const DrillOptions& options, ShutdownSignal& signal, DrillWatcher& watcher);
  ~RoundsDrill();
  absl::StatusOr<DrillReport> Run();

 private:
  absl::StatusOr<DrillReport> RunOnBed();
  // False: the cluster did not become whole again, and no round can follow.
  absl::StatusOr<bool> RunRound(const RoundKind& kind);
  absl::Status WindDown();
  absl::StatusOr<DrillReport> Compare();

  const DrillOptions& options_;
  DrillWatcher& watcher_;
  DrillBed bed_;
  Random random_;
  RoundsReport report_;
};

}  // namespace forebay
