#include "drill/drill_options.h"

#include <algorithm>

namespace forebay {

double RateOf(const DrillOptions& options) {
  if (options.rate > 0) return options.rate;
  // 16 s, but no more than two cores with three nodes and four producers carry with ease.
  return std::clamp(static_cast<double>(options.events) / 16, 50.0, 8000.0);
}

const char* NameOf(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "none";
    case Fault::kKill:
      return "kill";
    case Fault::kFreeze:
      return "freeze";
    case Fault::kCut:
      return "cut";
  }
  return "none";
}

}  // namespace forebay
