// The node's configuration file. The settings and their names are those of forebay/options.h.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
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

// A sink as configured; `binding.sink` is opened by whoever starts the node.
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

// Every mistake is in `problems`, in the order of the file; `config` counts only when there is
// none.
struct ParsedConfig {
  NodeConfig config;
  std::vector<ConfigProblem> problems;
};
ParsedConfig ParseConfig(const std::string& yaml);

// NOT_FOUND: no such file. INVALID_ARGUMENT: every problem, a line each, as
// "path:line:column: message".
absl::StatusOr<NodeConfig> LoadConfig(const std::string& path);

// A valid file with every setting at its default, its meaning, unit and limits as comments.
std::string DefaultConfig();

}  // namespace forebay
