// The table of all settings, by section.
#pragma once

#include <vector>

#include "node/config_setting.h"
#include "node/node_config.h"

namespace forebay {

struct ConfigTable {
  std::vector<Setting<NodeConfig>> root;
  std::vector<Setting<StreamOptions>> streams;  // of each element of the list
  std::vector<Setting<SinkConfig>> sinks;       // of each element of the list
  std::vector<Setting<TlsOptions>> tls;
  std::vector<Setting<AccessRule>> access;  // of each element of the list
  std::vector<Setting<BatchOptions>> batch;
  std::vector<Setting<SegmentOptions>> segment;
  std::vector<Setting<LivenessOptions>> liveness;
  std::vector<Setting<DiskOptions>> disk;
  std::vector<Setting<ServerLimits>> limits;
  std::vector<Setting<LogConfig>> log;
  std::vector<Setting<MetricsConfig>> metrics;
};

ConfigTable MakeConfigTable();

}  // namespace forebay
