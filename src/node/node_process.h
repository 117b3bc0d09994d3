// The standalone node: configuration in, a node that serves until it is told to stop.
#pragma once

#include "node/node_config.h"
#include "node/shutdown_signal.h"

namespace forebay {

// Blocks. Answers the process's exit code.
int RunNode(const NodeConfig& config, ShutdownSignal& signal);

}  // namespace forebay
