// The picture of a chaos drill: faults, acknowledged rate, lag and copies over time.
#pragma once

#include <string>

#include "node/drill.h"

namespace forebay {

// An SVG document that needs nothing else. The report must be of a chaos drill.
std::string DrillTimeline(const DrillOptions& options, const DrillReport& report);

}  // namespace forebay
