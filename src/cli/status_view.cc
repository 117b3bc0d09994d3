#include "cli/status_view.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/printable.h"
#include "cli/numbers.h"
#include "cli/text_table.h"

namespace forebay {
namespace {

using Json = nlohmann::ordered_json;

std::string OwnerOf(const PartitionStatus& partition) {
  if (partition.chain.segments.empty()) return "(never had one)";
  const std::string& owner = partition.chain.segments.back().owner.value();
  return partition.owned_here ? owner : absl::StrCat(owner, " (does not answer as owner)");
}

std::string ReplicasOf(const PartitionStatus& partition) {
  if (partition.chain.segments.empty()) return "";
  const std::set<NodeId> in_sync(partition.in_sync.begin(), partition.in_sync.end());
  std::vector<std::string> names;
  for (const Replica& replica : partition.chain.segments.back().replicas) {
    const bool behind = partition.owned_here && !in_sync.contains(replica.node);
    names.push_back(replica.node.value() + (behind ? " (behind)" : ""));
  }
  return absl::StrJoin(names, ", ");
}

Json SegmentsJson(const Chain& chain) {
  Json segments = Json::array();
  for (const Segment& segment : chain.segments) {
    Json replicas = Json::array();
    for (const Replica& replica : segment.replicas) {
      replicas.push_back({{"node", replica.node.value()}, {"zone", replica.zone.value()}});
    }
    segments.push_back({{"epoch", segment.epoch.value()},
                        {"base", segment.base.value()},
                        {"end", segment.end ? Json(segment.end->value()) : Json(nullptr)},
                        {"owner", segment.owner.value()},
                        {"replicas", std::move(replicas)}});
  }
  return segments;
}

Json PartitionJson(const PartitionStatus& partition) {
  const Chain& chain = partition.chain;
  Json in_sync = Json::array();
  for (const NodeId& node : partition.in_sync) in_sync.push_back(node.value());
  return {{"stream", partition.partition.stream.value()},
          {"partition", partition.partition.index},
          {"owner", chain.segments.empty() ? "" : chain.segments.back().owner.value()},
          {"owner_answers", partition.owned_here},
          {"epoch", chain.segments.empty() ? 0 : chain.segments.back().epoch.value()},
          {"committed", partition.committed.value()},
          {"trim_floor", partition.trim_floor.value()},
          {"under_replicated", partition.under_replicated},
          {"in_sync", std::move(in_sync)},
          {"chain_version", partition.chain_version},
          {"segments", SegmentsJson(chain)}};
}

// "1,204 MiB, 3 passes, 2 damaged, 2 repaired"
std::string ScrubOf(const NodeStatus& node) {
  if (!node.scrub.has_value()) return "?";
  const ScrubStats& scrub = *node.scrub;
  std::string text = absl::StrCat(Grouped(scrub.bytes >> 20), " MiB, ", scrub.passes, " passes");
  if (scrub.found > 0) {
    absl::StrAppend(&text, ", ", scrub.found, " damaged, ", scrub.repaired, " repaired");
  }
  if (scrub.given_up_now > 0) {
    absl::StrAppend(&text, ", ", scrub.given_up_now, " WITHOUT A GOOD COPY");
  }
  return text;
}

std::string NodeTable(const ClusterStatus& status) {
  std::map<NodeId, int> owned;
  for (const PartitionStatus& partition : status.partitions) {
    if (partition.owned_here) ++owned[partition.chain.segments.back().owner];
  }
  std::vector<NodeStatus> nodes = status.nodes;
  std::sort(nodes.begin(), nodes.end(), [](const NodeStatus& a, const NodeStatus& b) {
    return std::pair(a.record.zone, a.record.id) < std::pair(b.record.zone, b.record.id);
  });
  TextTable table({"ZONE", "NODE", "ADDRESS", "STATE", "OWNS", "SCRUBBED"});
  for (const NodeStatus& node : nodes) {
    std::string state = node.alive ? "up" : "DOWN";
    if (node.record.draining) state += ", draining";
    if (node.leaving) state += ", leaving";
    if (node.record.disk_full) state += ", DISK FULL";
    if (node.record.disk_slow) state += ", DISK SLOW";
    if (node.scrub.has_value() && node.scrub->damaged_now > 0) state += ", DAMAGED";
    table.Row({node.record.zone.value(), node.record.id.value(), node.record.address, state,
               absl::StrCat(owned[node.record.id]), ScrubOf(node)});
  }
  return table.Text();
}

std::string PartitionTable(const ClusterStatus& status) {
  TextTable table({"PARTITION", "OWNER", "EPOCH", "COMMITTED", "TRIMMED", "SEGMENTS", "REPLICAS",
                   "UNDER-REPLICATED"});
  for (const PartitionStatus& partition : status.partitions) {
    const auto& segments = partition.chain.segments;
    table.Row({partition.partition.ToString(), OwnerOf(partition),
               absl::StrCat(segments.empty() ? 0 : segments.back().epoch.value()),
               partition.owned_here ? Grouped(partition.committed.value()) : "?",
               partition.owned_here ? Grouped(partition.trim_floor.value()) : "?",
               absl::StrCat(segments.size()), ReplicasOf(partition),
               absl::StrCat(partition.under_replicated)});
  }
  return table.Text();
}

std::string SinkTable(const ClusterStatus& status) {
  struct Sum {
    uint64_t lag = 0;
    absl::Duration oldest;
    uint64_t dead_letters = 0;
    uint64_t set_aside = 0;
    std::map<std::string, int> states;
    std::string error;
  };
  std::map<std::pair<SinkId, StreamId>, Sum> sums;
  for (const SinkState& sink : status.sinks) {
    Sum& sum = sums[{sink.sink, sink.partition.stream}];
    sum.lag += sink.lag_events;
    sum.oldest = std::max(sum.oldest, sink.oldest_undelivered);
    sum.dead_letters += sink.dead_letter_events;
    sum.set_aside += sink.set_aside_events;
    ++sum.states[sink.state];
    if (sum.error.empty() && !sink.last_error.empty()) {
      sum.error = absl::StrCat(sink.partition.ToString(), ": ", Printable(sink.last_error));
    }
  }
  TextTable table(
      {"SINK", "STREAM", "LAG", "OLDEST", "DEAD LETTERS", "SET ASIDE", "PARTITIONS", "ERROR"});
  for (const auto& [name, sum] : sums) {
    std::vector<std::string> states;
    for (const auto& [state, count] : sum.states) {
      states.push_back(absl::StrCat(count, " ", state));
    }
    table.Row({name.first.value(), name.second.value(), Grouped(sum.lag),
               absl::FormatDuration(absl::Trunc(sum.oldest, absl::Milliseconds(1))),
               Grouped(sum.dead_letters), Grouped(sum.set_aside), absl::StrJoin(states, ", "),
               sum.error});
  }
  return sums.empty() ? "no sinks\n" : table.Text();
}

}  // namespace

int UnderReplicated(const ClusterStatus& status) {
  int sum = 0;
  for (const PartitionStatus& partition : status.partitions) sum += partition.under_replicated;
  return sum;
}

bool IsWell(const ClusterStatus& status) {
  for (const auto& [silent, why] : status.silent) {
    const auto node =
        std::find_if(status.nodes.begin(), status.nodes.end(),
                     [&id = silent](const NodeStatus& other) { return other.record.id == id; });
    if (node == status.nodes.end() || !node->leaving) return false;
  }
  return UnderReplicated(status) == 0;
}

std::string StatusTables(const ClusterStatus& status) {
  std::string out =
      absl::StrCat(NodeTable(status), "\n", PartitionTable(status), "\n", SinkTable(status),
                   "\nunder-replicated: ", UnderReplicated(status), "\n");
  for (const auto& [node, why] : status.silent) {
    absl::StrAppend(&out, "no answer from ", node.value(), ": ", why.message(), "\n");
  }
  return out;
}

std::string StatusJson(const ClusterStatus& status) {
  Json nodes = Json::array(), partitions = Json::array(), sinks = Json::array();
  Json silent = Json::array();
  for (const NodeStatus& node : status.nodes) {
    Json scrub;
    if (node.scrub.has_value()) {
      scrub = {{"bytes", node.scrub->bytes},
               {"passes", node.scrub->passes},
               {"found", node.scrub->found},
               {"repaired", node.scrub->repaired},
               {"damaged_now", node.scrub->damaged_now},
               {"given_up_now", node.scrub->given_up_now}};
    }
    nodes.push_back({{"scrub", std::move(scrub)},
                     {"node", node.record.id.value()},
                     {"zone", node.record.zone.value()},
                     {"address", node.record.address},
                     {"alive", node.alive},
                     {"draining", node.record.draining},
                     {"leaving", node.leaving},
                     {"disk_full", node.record.disk_full},
                     {"disk_slow", node.record.disk_slow}});
  }
  for (const PartitionStatus& partition : status.partitions) {
    partitions.push_back(PartitionJson(partition));
  }
  for (const SinkState& sink : status.sinks) {
    sinks.push_back({{"sink", sink.sink.value()},
                     {"stream", sink.partition.stream.value()},
                     {"partition", sink.partition.index},
                     {"cursor", sink.cursor.value()},
                     {"lag_events", sink.lag_events},
                     {"oldest_undelivered_ms", absl::ToInt64Milliseconds(sink.oldest_undelivered)},
                     {"state", sink.state},
                     {"last_error", sink.last_error},
                     {"delivered_events", sink.delivered_events},
                     {"dead_letter_events", sink.dead_letter_events},
                     {"set_aside_events", sink.set_aside_events}});
  }
  for (const auto& [node, why] : status.silent) {
    silent.push_back({{"node", node.value()}, {"why", why.ToString()}});
  }
  const Json json = {{"nodes", std::move(nodes)},
                     {"partitions", std::move(partitions)},
                     {"sinks", std::move(sinks)},
                     {"silent", std::move(silent)},
                     {"under_replicated", UnderReplicated(status)}};
  return json.dump(2) + "\n";
}

}  // namespace forebay
