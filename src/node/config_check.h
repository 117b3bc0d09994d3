// What is checked between settings, after each of them has been read by itself.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "node/node_config.h"

namespace forebay {

// Where settings stand in the file: "streams[0].ack_copies" -> position. Paths of list elements and
// sections are in it too.
using ConfigPositions = std::map<std::string, std::pair<int, int>>;

// "host:port", port 0 to 65535.
absl::Status CheckAddress(const std::string& address);

std::vector<ConfigProblem> CheckConfig(const NodeConfig& config, const ConfigPositions& positions);

}  // namespace forebay
