// How a bench shows itself: a text for each phase, and the JSON of all.
#pragma once

#include <string>
#include <vector>

#include "load/bench_options.h"
#include "load/bench_result.h"

namespace forebay {

// What is measured, in a line.
std::string BenchHead(const BenchOptions& options, double event_bytes_mean);
std::string BenchText(const PhaseResult& result);
std::string BenchJson(const BenchOptions& options, double event_bytes_mean,
                      const std::vector<PhaseResult>& results);

}  // namespace forebay
