// What the process says when it ends. Each command's --help names the ones it uses.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace forebay {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;       // the command did its work, and the answer is no
inline constexpr int kExitUsage = 2;        // a wrong option, configuration or name
inline constexpr int kExitUnavailable = 3;  // a node, a file or the metadata store is out of reach
inline constexpr int kExitStoreFailed = 4;  // of a node: its store takes no more writes

// Prints "forebay: message" to stderr, and answers the exit code that fits the status.
int Fail(const absl::Status& status);

}  // namespace forebay
