// The node's configuration file. The settings and their names are those of forebay/options.h.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "node/node_config.h"

namespace forebay {

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
