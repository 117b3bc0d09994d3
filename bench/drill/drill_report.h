// A drill's outcome as a table and as JSON.
#pragma once

#include <string>

#include "drill/drill_options.h"
#include "drill/drill_outcome.h"

namespace forebay {

std::string DrillTable(const DrillOptions& options, const DrillReport& report);
std::string DrillJson(const DrillOptions& options, const DrillReport& report);

}  // namespace forebay
