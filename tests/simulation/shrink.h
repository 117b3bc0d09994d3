// Finds the few faults of a failing script that it takes to fail.
#pragma once

#include <functional>

#include "simulation/fault.h"

namespace forebay {

// Leaves out what it can (noise, then faults by halves down to single ones, then what they wait
// for) while `fails` says that the rest still fails. Calls it at most `runs_max` times.
FaultScript Shrink(FaultScript script, const std::function<bool(const FaultScript&)>& fails,
                   int runs_max);

}  // namespace forebay
