// forebay node
#include <iostream>
#include <memory>
#include <string>

#include "cli/commands.h"
#include "node/config.h"
#include "node/exit_code.h"
#include "node/node_process.h"
#include "runtime/log.h"

namespace forebay {
namespace {

struct Asked {
  std::string config;
  std::string level;   // empty: as configured
  std::string format;  // empty: as configured
};

LogLevel LevelOf(const std::string& word) {
  if (word == "debug") return LogLevel::kDebug;
  if (word == "warning") return LogLevel::kWarning;
  return word == "error" ? LogLevel::kError : LogLevel::kInfo;
}

int Run(const Asked& asked) {
  absl::StatusOr<NodeConfig> config = LoadConfig(asked.config);
  if (!config.ok()) {
    std::cerr << std::string(config.status().message()) << std::endl;
    return kExitUsage;
  }
  if (!asked.level.empty()) config->log.level = LevelOf(asked.level);
  if (!asked.format.empty()) {
    config->log.format = asked.format == "json" ? LogFormat::kJson : LogFormat::kHuman;
  }
  ShutdownSignal signal;
  SetUpLog(config->log.format, config->log.level, config->buffer.node.value());
  return RunNode(*config, signal);
}

}  // namespace

void AddNodeCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("node", "Run a node");
  auto asked = std::make_shared<Asked>();
  command->add_option("--config", asked->config, "Its configuration (forebay config show)")
      ->required();
  command->add_option("--log-level", asked->level, "Instead of the configured one")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  command->add_option("--log-format", asked->format, "Instead of the configured one")
      ->check(CLI::IsMember({"human", "json"}));
  command->footer(
      "SIGTERM or SIGINT: hands its partitions over, flushes, ends; a second one: ends at once.\n"
      "Exit codes: 0 stopped as asked, 1 stopped without handing everything over, 2 wrong "
      "configuration (each mistake a line), 3 the metadata store or the address is out of reach, "
      "4 the store failed: see the log, and OPERATIONS.md.\n"
      "Example: forebay node --config node.yaml");
  command->callback([asked, &exit_code] { exit_code = Run(*asked); });
}

}  // namespace forebay
