// The commands of the program `forebay`. Each function adds one; when it was given on the command
// line, it runs and puts the process's exit code (exit_code.h) into `exit_code`.
#pragma once

#include "cli/command_options.h"

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

}  // namespace forebay
