// Where the time of an append goes: the stages of its block at the client and at its owner.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/remote_cluster.h"
#include "forebay/stats.h"

namespace forebay {

// What clients and nodes had counted at one moment.
struct StageSnapshot {
  StageStats until_sealed, until_acknowledged;  // of all producers
  OwnerStages owners;                           // of all nodes that answered
};
// Nothing: no node answered within the limit.
std::optional<StageSnapshot> TakeStages(const ProducerStats& producers, RemoteCluster& cluster,
                                        absl::Duration limit);

struct StageRow {
  std::string stage;
  std::string meaning;
  absl::Duration mean;
  // Nothing where only the mean is known.
  std::optional<absl::Duration> p50, p99;
};
// What came between two snapshots, a row for each stage in the order in which a block goes through
// them, and one for all. Of blocks, from their oldest event on. Empty: there were none. Pure.
std::vector<StageRow> StagesBetween(const StageSnapshot& before, const StageSnapshot& after);

}  // namespace forebay
