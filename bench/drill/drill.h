// The drill: real nodes take real events, a zone is broken and healed, or fault after fault hits
// them in an order drawn from a seed, and what arrived is compared with what was acknowledged.
#pragma once

#include "absl/status/statusor.h"
#include "drill/drill_options.h"
#include "drill/drill_outcome.h"
#include "drill/drill_progress.h"
#include "node/shutdown_signal.h"

namespace forebay {

// Blocks. UNAVAILABLE: something did not start; the message names its log. CANCELLED: stopped by
// the signal; nothing is left over.
absl::StatusOr<DrillReport> RunDrill(const DrillOptions& options, ShutdownSignal& signal,
                                     DrillWatcher& watcher);

}  // namespace forebay
