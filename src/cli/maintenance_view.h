// What the commands about taking nodes down print.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/remote_cluster.h"
#include "replication/take_down.h"

namespace forebay {

// What is to be taken down: a node, or a zone.
struct TakeDownTarget {
  MaintenanceRecord::Of of = MaintenanceRecord::Of::kNode;
  std::string name;
  std::string ToString() const;  // "node b1", "zone b"
};

// The nodes of the target. NOT_FOUND, with the names there are.
absl::StatusOr<std::set<NodeId>> NodesOf(const TakeDownTarget& target, const ClusterStatus& status);

// JudgeTakeDown, where a node that does not answer the question counts as gone.
std::vector<Obstacle> Judge(const ClusterStatus& status, const std::set<NodeId>& down);

std::string CheckTables(const TakeDownTarget& target, const std::vector<Obstacle>& obstacles);
std::string CheckJson(const TakeDownTarget& target, const std::set<NodeId>& nodes,
                      const std::vector<Obstacle>& obstacles);
// One line: what is left on nodes that leave.
std::string RemainsLine(const TakeDownTarget& target, const Remains& remains);

}  // namespace forebay
