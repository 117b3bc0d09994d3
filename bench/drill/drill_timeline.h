// The picture of a chaos drill: faults, acknowledged rate, lag and copies over time.
#pragma once

#include <string>

#include "drill/drill_options.h"
#include "drill/drill_outcome.h"

namespace forebay {

// An SVG document that needs nothing else. The report must be of a chaos drill.
std::string DrillTimeline(const DrillOptions& options, const DrillReport& report);

}  // namespace forebay
