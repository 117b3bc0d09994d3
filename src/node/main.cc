// The program `forebay`.
#include <signal.h>

#include <iostream>

#include "node/commands.h"
#include "node/exit_code.h"
#include "node/units.h"
#include "runtime/lock_order.h"

namespace forebay {
namespace {

constexpr char kVersion[] = FOREBAY_VERSION;

// "no command 'drll'; did you mean 'drill'?", unless it is a command.
std::string UnknownCommand(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (command->get_name() == word) return "";
    if (!command->get_group().empty()) names.push_back(command->get_name());
  }
  if (word.rfind('-', 0) == 0) return "";
  const std::string nearest = Nearest(word, names);
  return "no command '" + word + "'" +
         (nearest.empty() ? "; 'forebay --help' lists them" : "; did you mean '" + nearest + "'?");
}

int Main(int argc, char** argv) {
  // A reader that goes away is an error of the write, not the end of the process.
  ::signal(SIGPIPE, SIG_IGN);
  LeaveLockOrderUnchecked();
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
    const std::string unknown =
        error.get_exit_code() != 0 && argc > 1 ? UnknownCommand(app, argv[1]) : "";
    if (unknown.empty()) return app.exit(error) == 0 ? kExitOk : kExitUsage;
    std::cerr << "forebay: " << unknown << "\n";
    return kExitUsage;
  }
  return exit_code;
}

}  // namespace
}  // namespace forebay

int main(int argc, char** argv) { return forebay::Main(argc, argv); }
