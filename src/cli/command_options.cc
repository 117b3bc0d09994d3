#include "cli/command_options.h"

#include <signal.h>

#include <iostream>

#include "base/units.h"
#include "node/exit_code.h"
#include "runtime/lock_order.h"

namespace forebay {
namespace {

// "no command 'drll'; did you mean 'drill'?", unless it is a command.
std::string UnknownCommand(const CLI::App& app, const std::string& word) {
  if (app.get_subcommands(nullptr).empty()) return "";
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

}  // namespace

void AddNodesOption(CLI::App& command, RemoteNodes& nodes) {
  nodes.addresses = {"127.0.0.1:7400"};
  command
      .add_option("--nodes", nodes.addresses,
                  "Some nodes, as host:port,host:port; the others are found")
      ->envname("FOREBAY_NODES")
      ->delimiter(',')
      ->capture_default_str();
  AddTlsOptions(command, nodes);
}

void AddTlsOptions(CLI::App& command, RemoteNodes& nodes) {
  TlsOptions& tls = nodes.tls;
  command.add_option("--tls-certificate", tls.certificate, "Our certificate, a PEM file")
      ->envname("FOREBAY_TLS_CERTIFICATE");
  command.add_option("--tls-key", tls.key, "Its key, a PEM file")->envname("FOREBAY_TLS_KEY");
  command.add_option("--tls-ca", tls.ca, "Who signs the nodes' certificates, a PEM file")
      ->envname("FOREBAY_TLS_CA");
  command.add_option("--token-file", nodes.token_file, "A file with a bearer token to show")
      ->envname("FOREBAY_TOKEN_FILE");
}

CLI::Option* AddDurationOption(CLI::App& command, const std::string& name, absl::Duration& into,
                               const std::string& meaning) {
  return command
      .add_option_function<std::string>(
          name,
          [&into, name](const std::string& text) {
            const absl::StatusOr<absl::Duration> duration = ParseDurationText(text);
            if (!duration.ok()) {
              throw CLI::ValidationError(name, std::string(duration.status().message()));
            }
            into = *duration;
          },
          meaning)
      ->default_str(DurationText(into))
      ->type_name("DURATION");
}

std::string VersionText() { return "forebay " FOREBAY_VERSION; }

int RunCommandLine(CLI::App& app, int argc, char** argv, const int& exit_code) {
  // A reader that goes away is an error of the write, not the end of the process.
  ::signal(SIGPIPE, SIG_IGN);
  LeaveLockOrderUnchecked();
  app.set_version_flag("--version", VersionText());
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

}  // namespace forebay
