// Where the programs of Forebay are: `forebay`, and those that are its parts (forebay-drill,
// forebay-bench).
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace forebay {

// The path of a program: beside the one that runs, then in libexec/forebay of the same prefix (and
// from there in its bin), then in $PATH. UNAVAILABLE names these places.
absl::StatusOr<std::string> FindProgram(const std::string& name);

// Runs the command `name` of `forebay`, which is the program forebay-NAME, in this process's place.
// `arguments` are those of main, from the command's name on. Answers an exit code, and only when
// the program cannot be run: it has then said why.
int RunPart(const std::string& name, char** arguments);

}  // namespace forebay
