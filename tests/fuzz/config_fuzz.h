// What must hold of any text at all that someone gives a node as its configuration.
#pragma once

#include <string>
#include <string_view>

#include "base/check.h"
#include "node/config.h"

namespace forebay {

// Ends, throws nothing, and points into the file. True when it was a configuration.
inline bool FuzzConfig(std::string_view input) {
  const ParsedConfig parsed = ParseConfig(std::string(input));
  for (const ConfigProblem& problem : parsed.problems) {
    FOREBAY_CHECK(!problem.message.empty(), "a problem says what it is");
  }
  return parsed.problems.empty();
}

}  // namespace forebay
