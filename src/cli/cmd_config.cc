// forebay config check|show
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "node/config.h"
#include "node/exit_code.h"

namespace forebay {

void AddConfigCommand(CLI::App& app, int& exit_code) {
  CLI::App* config = app.add_subcommand("config", "Check a node's configuration, or show one");
  config->require_subcommand(1);

  CLI::App* check = config->add_subcommand("check", "Report every mistake in a file");
  const auto path = std::make_shared<std::string>();
  check->add_option("file,--config", *path, "The file")->required();
  check->footer(
      "Exit codes: 0 no mistake, 2 mistakes (a line each) or no such file.\n"
      "Example: forebay config check node.yaml");
  check->callback([path, &exit_code] {
    const absl::StatusOr<NodeConfig> loaded = LoadConfig(*path);
    if (loaded.ok()) {
      std::cout << *path << ": no mistake\n";
      return;
    }
    std::cerr << std::string(loaded.status().message()) << std::endl;
    exit_code = kExitUsage;
  });

  CLI::App* show = config->add_subcommand("show", "Print every setting with its meaning");
  const auto defaults = std::make_shared<bool>();
  show->add_flag("--defaults", *defaults, "The default values")->required();
  show->footer("Example: forebay config show --defaults > node.yaml");
  show->callback([defaults] { std::cout << DefaultConfig(); });
}

}  // namespace forebay
