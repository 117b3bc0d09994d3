// What a node is configured with, and a mistake in that.
#pragma once

#include <string>
#include <vector>

#include "forebay/options.h"
#include "runtime/log.h"

namespace forebay {

struct LogConfig {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kHuman;
};

struct MetricsConfig {
  std::string listen;  // empty: no metrics
};

// A sink as configured; `binding.sink` is opened by the one that starts the node.
struct SinkConfig {
  SinkBinding binding;
  std::string url;
};

struct NodeConfig {
  BufferOptions buffer;  // without sinks
  std::vector<SinkConfig> sinks;
  LogConfig log;
  MetricsConfig metrics;
};

// One mistake in a file; line and column count from 1.
struct ConfigProblem {
  int line = 1;
  int column = 1;
  std::string message;  // "batch.linger: ..."

  friend auto operator<=>(const ConfigProblem&, const ConfigProblem&) = default;
};

}  // namespace forebay
