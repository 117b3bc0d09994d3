// How long a fault shows in the latency of appends. Pure.
#pragma once

#include <optional>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "drill/drill_verdict.h"

namespace forebay {

struct LatencyRecovery {
  double before_p99_ms = 0;  // of events sent in the two seconds before it
  double slowest_ms = 0;     // of those sent from the fault on
  // From the fault until events were sent that are acknowledged as fast as before: the p99 of each
  // tenth of a second, for a second in a row, at most twice that of before, or 5 ms more. Nothing:
  // never.
  std::optional<double> back_ms;
};

struct RecoverySpan {
  absl::Time quiet_until;  // the two seconds before it are what "before" means
  absl::Time fault;
  absl::Time until;  // the last moment that counts
};
// An event that was never acknowledged is slower than all.
LatencyRecovery RecoveryOf(absl::Span<const DrillLog> producers, const RecoverySpan& span);

}  // namespace forebay
