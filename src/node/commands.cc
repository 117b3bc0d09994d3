#include "node/commands.h"

#include "node/cut_proxy.h"
#include "node/units.h"

namespace forebay {

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

void AddProxyCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("proxy")->group("");
  command->callback([&exit_code] { exit_code = RunProxyCommand(); });
}

}  // namespace forebay
