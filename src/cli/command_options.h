// What the command lines of all programs have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/remote_cluster.h"

namespace forebay {

// --nodes: "host:port" of some nodes; $FOREBAY_NODES, or 127.0.0.1:7400. And --tls-certificate,
// --tls-key, --tls-ca, --token-file; $FOREBAY_TLS_CERTIFICATE and so on.
void AddNodesOption(CLI::App& command, RemoteNodes& nodes);
void AddTlsOptions(CLI::App& command, RemoteNodes& nodes);
// A duration as in "2ms" or "10s".
CLI::Option* AddDurationOption(CLI::App& command, const std::string& name, absl::Duration& into,
                               const std::string& meaning);

// "forebay 1.2.3", what --version prints.
std::string VersionText();
// Parses the command line, which runs what it asks for, and answers `exit_code` (exit_code.h), or
// kExitUsage with what is wrong on stderr. To be called by main, first of all.
int RunCommandLine(CLI::App& app, int argc, char** argv, const int& exit_code);

}  // namespace forebay
