// The program `forebay`.
#include <signal.h>

#include <iostream>

#include "node/commands.h"
#include "node/exit_code.h"
#include "node/units.h"

namespace forebay {
namespace {

constexpr char kVersion[] = FOREBAY_VERSION;

// "drll" -> "did you mean 'drill'?"
void SuggestCommand(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (command->get_name() == word) return;
    if (!command->get_group().empty()) names.push_back(command->get_name());
  }
  const std::string nearest = Nearest(word, names);
  if (!nearest.empty() && word.rfind('-', 0) != 0) {
    std::cerr << "forebay: no command '" << word << "'; did you mean '" << nearest << "'?\n";
  }
}

int Main(int argc, char** argv) {
  // A reader that goes away is an error of the write, not the end of the process.
  ::signal(SIGPIPE, SIG_IGN);
  CLI::App app{
      "Forebay takes events in, keeps them in at least two zones before it says so, and hands them "
      "downstream exactly once."};
  app.footer(
      "Exit codes: 0 done, 1 the answer is no, 2 wrong usage or configuration, 3 out of "
      "reach.\nTry: forebay drill");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("forebay ") + kVersion);
  int exit_code = kExitOk;
  AddNodeCommand(app, exit_code);
  AddConfigCommand(app, exit_code);
  AddAppendCommand(app, exit_code);
  AddTailCommand(app, exit_code);
  AddStatusCommand(app, exit_code);
  AddAdminCommand(app, exit_code);
  AddDeadLetterCommand(app, exit_code);
  AddDrillCommand(app, exit_code);
  AddBenchCommand(app, exit_code);
  AddProxyCommand(app, exit_code);
  app.add_subcommand("version", "Print the version")->callback([] {
    std::cout << "forebay " << kVersion << "\n";
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0 && argc > 1) SuggestCommand(app, argv[1]);
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return exit_code;
}

}  // namespace
}  // namespace forebay

int main(int argc, char** argv) { return forebay::Main(argc, argv); }
