// The program `forebay`.
#include <iostream>

#include "cli/commands.h"
#include "cli/programs.h"
#include "node/exit_code.h"

namespace forebay {
namespace {

// Commands that are programs of their own, which `forebay` runs in its place.
struct Part {
  const char* name;
  const char* meaning;
};
constexpr Part kParts[] = {
    {"drill", "Break a zone under real traffic and see that nothing is lost"},
    {"bench", "Measure throughput, latency and where it goes, a backlog, and failovers"},
};

int Main(int argc, char** argv) {
  for (const Part& part : kParts) {
    if (argc > 1 && argv[1] == std::string(part.name)) return RunPart(part.name, argv + 1);
  }
  CLI::App app{
      "Forebay takes events in, keeps them in at least two zones before it says so, and hands them "
      "downstream exactly once."};
  app.footer(
      "Exit codes: 0 done, 1 the answer is no, 2 wrong usage or configuration, 3 out of "
      "reach.\nTry: forebay drill");
  app.require_subcommand(1);
  int exit_code = kExitOk;
  AddNodeCommand(app, exit_code);
  AddConfigCommand(app, exit_code);
  AddAppendCommand(app, exit_code);
  AddTailCommand(app, exit_code);
  AddStatusCommand(app, exit_code);
  AddAdminCommand(app, exit_code);
  AddDeadLetterCommand(app, exit_code);
  for (const Part& part : kParts) app.add_subcommand(part.name, part.meaning);  // for --help
  app.add_subcommand("version", "Print the version")->callback([] {
    std::cout << VersionText() << "\n";
  });
  return RunCommandLine(app, argc, argv, exit_code);
}

}  // namespace
}  // namespace forebay

int main(int argc, char** argv) { return forebay::Main(argc, argv); }
