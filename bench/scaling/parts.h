// The parts of the program: each measures, prints a table, and returns the same as JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

namespace forebay::scaling {

struct Scale {
  size_t nodes = 1000;
  size_t partitions = 100'000;
  uint64_t seed = 1;
};

nlohmann::json PlacementPart(const Scale& scale);
nlohmann::json StormPart(const Scale& scale);
nlohmann::json NodePart(const Scale& scale);
nlohmann::json MetadataPart();
nlohmann::json HeartbeatPart();

}  // namespace forebay::scaling
