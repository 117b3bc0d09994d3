#include "cli/maintenance_view.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/text_table.h"

namespace forebay {

std::string TakeDownTarget::ToString() const {
  return (of == MaintenanceRecord::Of::kZone ? "zone " : "node ") + name;
}

absl::StatusOr<std::set<NodeId>> NodesOf(const TakeDownTarget& target,
                                         const ClusterStatus& status) {
  const bool is_zone = target.of == MaintenanceRecord::Of::kZone;
  std::set<NodeId> nodes;
  std::set<std::string> names;
  for (const NodeStatus& node : status.nodes) {
    const std::string& name = is_zone ? node.record.zone.value() : node.record.id.value();
    if (name == target.name) nodes.insert(node.record.id);
    names.insert(name);
  }
  if (!nodes.empty()) return nodes;
  return absl::NotFoundError(absl::StrCat("there is no ", is_zone ? "zone" : "node", " '",
                                          target.name, "'; there are ",
                                          absl::StrJoin(names, ", ")));
}

std::vector<Obstacle> Judge(const ClusterStatus& status, const std::set<NodeId>& down) {
  std::vector<NodeStatus> nodes = status.nodes;
  for (NodeStatus& node : nodes) {
    for (const auto& [silent, why] : status.silent) {
      if (silent == node.record.id) node.alive = false;
    }
  }
  return JudgeTakeDown(nodes, status.partitions, down);
}

std::string CheckTables(const TakeDownTarget& target, const std::vector<Obstacle>& obstacles) {
  if (obstacles.empty())
    return absl::StrCat("safe: ", target.ToString(), " can be taken down now\n");
  TextTable table({"PARTITION", "WHY"});
  for (const Obstacle& obstacle : obstacles) {
    table.Row({obstacle.partition ? obstacle.partition->ToString() : "-", obstacle.why});
  }
  return absl::StrCat("NOT safe: ", target.ToString(), " must stay up for now\n\n", table.Text());
}

std::string CheckJson(const TakeDownTarget& target, const std::set<NodeId>& nodes,
                      const std::vector<Obstacle>& obstacles) {
  using Json = nlohmann::ordered_json;
  Json names = Json::array(), reasons = Json::array();
  for (const NodeId& node : nodes) names.push_back(node.value());
  for (const Obstacle& obstacle : obstacles) {
    Json reason = {{"kind", NameOf(obstacle.kind)}};
    if (obstacle.partition.has_value()) {
      reason["stream"] = obstacle.partition->stream.value();
      reason["partition"] = obstacle.partition->index;
    }
    reason["why"] = obstacle.why;
    reasons.push_back(std::move(reason));
  }
  const bool is_zone = target.of == MaintenanceRecord::Of::kZone;
  const Json json = {{is_zone ? "zone" : "node", target.name},
                     {"nodes", std::move(names)},
                     {"safe", obstacles.empty()},
                     {"obstacles", std::move(reasons)}};
  return json.dump(2) + "\n";
}

std::string RemainsLine(const TakeDownTarget& target, const Remains& remains) {
  std::string line = absl::StrCat(target.ToString(), ": owns ", remains.owned,
                                  " partitions; holds ", remains.open_segments, " open and ",
                                  remains.sealed_segments, " sealed segments");
  if (remains.unknown > 0) {
    absl::StrAppend(&line, "; ", remains.unknown, " partitions whose owner does not answer");
  }
  return line;
}

}  // namespace forebay
