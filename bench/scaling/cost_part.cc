// What a large fleet costs one node, the metadata store, and the network between nodes.
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/numbers.h"
#include "cli/text_table.h"
#include "scaling/heartbeat_cost.h"
#include "scaling/metadata_cost.h"
#include "scaling/one_node.h"
#include "scaling/parts.h"
#include "support/etcd_cluster.h"

namespace forebay::scaling {
namespace {

std::string Whole(double number) { return Grouped(static_cast<uint64_t>(number + 0.5)); }

// What is measured with one store.
class MetadataTable {
 public:
  void Row(const std::string& store, const MetadataCostOptions& options) {
    const auto cost = MeasureMetadata(options);
    if (!cost.ok()) {
      std::cerr << store << ": " << cost.status() << "\n";
      return;
    }
    table_.Row({store, options.reads ? "read" : "swap", absl::StrCat(options.in_flight),
                absl::StrCat(options.watchers), Whole(cost->calls_per_second),
                absl::StrFormat("%.1f", cost->told_per_call),
                options.pids.empty() ? "" : Whole(cost->server_cpu_us_per_call),
                Whole(cost->failed)});
    json_.push_back({{"store", store},
                     {"call", options.reads ? "read" : "swap"},
                     {"in_flight", options.in_flight},
                     {"watchers", options.watchers},
                     {"calls_per_second", cost->calls_per_second},
                     {"told_per_call", cost->told_per_call},
                     {"server_cpu_us_per_call", cost->server_cpu_us_per_call},
                     {"failed", cost->failed}});
  }
  void Print() const { std::cout << table_.Text() << "\n"; }
  const nlohmann::json& json() const { return json_; }

 private:
  TextTable table_{{"store", "call", "under way", "watchers", "calls/s", "told per call",
                    "server CPU us per call", "failed"}};
  nlohmann::json json_ = nlohmann::json::array();
};

void MeasureEtcd(int members, MetadataTable& table) {
  const auto cluster = EtcdCluster::Start({.members = members});
  if (cluster == nullptr) return;
  const std::string where = "etcd:" + absl::StrJoin(cluster->endpoints(), ",");
  const std::string name = absl::StrCat("etcd, ", members, members == 1 ? " member" : " members");
  for (const size_t in_flight : {1, 64, 1024}) {
    table.Row(name, {.where = where, .in_flight = in_flight, .pids = cluster->pids()});
  }
  table.Row(name, {.where = where, .in_flight = 1024, .reads = true, .pids = cluster->pids()});
  for (const size_t watchers : {10, 50}) {
    table.Row(name,
              {.where = where, .in_flight = 64, .watchers = watchers, .pids = cluster->pids()});
  }
}

}  // namespace

nlohmann::json MetadataPart() {
  MetadataTable table;
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / absl::StrCat("forebay-scaling-", ::getpid());
  std::filesystem::create_directories(folder);
  const std::string where = absl::StrCat("sqlite:", (folder / "metadata.db").string());
  for (const size_t in_flight : {1, 64}) {
    table.Row("SQLite", {.where = where, .in_flight = in_flight});
  }
  std::filesystem::remove_all(folder);
  if (const auto why = EtcdCluster::WhyNot()) {
    std::cout << "etcd is left out: " << *why << "\n";
  } else {
    for (const int members : {1, 3}) MeasureEtcd(members, table);
  }
  table.Print();
  return table.json();
}

nlohmann::json NodePart(const Scale& scale) {
  nlohmann::json all = nlohmann::json::array();
  TextTable table({"nodes", "partitions", "phase", "simulated s", "busy s", "longest task ms"});
  for (const size_t divisor : {100, 10, 1}) {
    const size_t nodes = scale.nodes / divisor;
    const OneNodeResult node = MeasureOneNode(
        {{nodes - 2 * (nodes / 3), nodes / 3, nodes / 3}, scale.partitions / divisor, scale.seed});
    for (const LoopLoad& load : node.phases) {
      table.Row({Grouped(node.nodes), Grouped(node.partitions), load.phase,
                 absl::StrFormat("%.0f", load.simulated_seconds),
                 absl::StrFormat("%.3f", load.busy_seconds),
                 absl::StrFormat("%.1f", 1000 * load.longest_task_seconds)});
      all.push_back({{"nodes", node.nodes},
                     {"partitions", node.partitions},
                     {"owned", node.owned},
                     {"memory_bytes_per_partition", node.memory_bytes_per_partition},
                     {"phase", load.phase},
                     {"simulated_s", load.simulated_seconds},
                     {"busy_s", load.busy_seconds},
                     {"longest_task_s", load.longest_task_seconds}});
    }
    std::cout << Grouped(node.partitions) << " partitions, " << Grouped(node.owned)
              << " of them owned: " << Whole(node.memory_bytes_per_partition)
              << " bytes of memory for each\n";
  }
  std::cout << "The replication loop of one node\n" << table.Text() << "\n";
  return all;
}

nlohmann::json HeartbeatPart() {
  nlohmann::json all = nlohmann::json::array();
  TextTable table(
      {"nodes", "heartbeats/s", "CPU us for each", "bytes for each", "memory per connection"});
  for (const size_t nodes : {10, 20, 40}) {
    const auto cost = MeasureHeartbeats(nodes);
    if (!cost.ok()) {
      std::cerr << cost.status() << "\n";
      break;
    }
    table.Row({absl::StrCat(nodes), Whole(cost->per_second), Whole(cost->cpu_us),
               Whole(cost->bytes), Whole(cost->memory_per_connection)});
    all.push_back({{"nodes", nodes},
                   {"per_second", cost->per_second},
                   {"cpu_us", cost->cpu_us},
                   {"bytes", cost->bytes},
                   {"memory_per_connection", cost->memory_per_connection}});
  }
  std::cout << "Heartbeats between nodes\n" << table.Text() << "\n";
  return all;
}

}  // namespace forebay::scaling
