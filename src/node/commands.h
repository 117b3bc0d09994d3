// The commands of the program `forebay`. Each function adds one; when it was given on the command
// line, it runs and puts the process's exit code (exit_code.h) into `exit_code`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "rpc/remote_cluster.h"

namespace forebay {

void AddNodeCommand(CLI::App& app, int& exit_code);
void AddConfigCommand(CLI::App& app, int& exit_code);
void AddAppendCommand(CLI::App& app, int& exit_code);
void AddTailCommand(CLI::App& app, int& exit_code);
void AddStatusCommand(CLI::App& app, int& exit_code);
void AddAdminCommand(CLI::App& app, int& exit_code);
// Below "admin": check, evacuate-zone, replace-node.
void AddMaintenanceCommands(CLI::App& admin, int& exit_code);
void AddDeadLetterCommand(CLI::App& app, int& exit_code);
void AddDrillCommand(CLI::App& app, int& exit_code);
void AddBenchCommand(CLI::App& app, int& exit_code);
// Hidden: the drill's network between nodes.
void AddProxyCommand(CLI::App& app, int& exit_code);

// --nodes: "host:port" of some nodes; $FOREBAY_NODES, or 127.0.0.1:7400. And --tls-certificate,
// --tls-key, --tls-ca, --token-file; $FOREBAY_TLS_CERTIFICATE and so on.
void AddNodesOption(CLI::App& command, RemoteNodes& nodes);
void AddTlsOptions(CLI::App& command, RemoteNodes& nodes);
// A duration as in "2ms" or "10s".
CLI::Option* AddDurationOption(CLI::App& command, const std::string& name, absl::Duration& into,
                               const std::string& meaning);

}  // namespace forebay
