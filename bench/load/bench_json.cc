// The JSON of a bench.
#include <nlohmann/json.hpp>

#include "load/bench_report.h"

namespace forebay {
namespace {

using Json = nlohmann::ordered_json;

Json Number(std::optional<double> value) {
  return value.has_value() ? Json(*value) : Json(nullptr);
}

Json StagesJson(const std::vector<StageRow>& stages) {
  const auto ms = [](std::optional<absl::Duration> time) {
    return time.has_value() ? Json(absl::ToDoubleMilliseconds(*time)) : Json(nullptr);
  };
  Json json = Json::object();
  for (const StageRow& row : stages) {
    json[row.stage] = {{"mean_ms", ms(row.mean)}, {"p50_ms", ms(row.p50)}, {"p99_ms", ms(row.p99)}};
  }
  return json;
}

Json LoadJson(const Measurement& m) {
  return {{"rate", m.rate},
          {"events_per_second", m.load.PerSecond()},
          {"bytes_per_second", m.load.seconds <= 0 ? 0 : m.bytes_taken_in / m.load.seconds},
          {"acknowledged", m.load.acknowledged},
          {"failed", m.load.failed},
          {"seconds", m.load.seconds},
          {"p50_ms", m.Milliseconds(0.5)},
          {"p99_ms", m.Milliseconds(0.99)},
          {"p99_9_ms", m.Milliseconds(0.999)},
          {"max_ms", absl::ToDoubleMilliseconds(m.load.latency.max())},
          {"largest_partition_share", m.load.LargestPartitionShare()},
          {"node_cpu_seconds_per_million", m.PerMillion(m.nodes.cpu_seconds)},
          {"client_cpu_seconds_per_million", m.PerMillion(m.client_cpu_seconds)},
          {"bytes_written_per_byte", m.WrittenPerByte()},
          {"stages", StagesJson(m.stages)}};
}

Json MemoryJson(const std::vector<NodeMemory>& memory) {
  Json json = Json::object();
  for (const NodeMemory& node : memory) {
    json[node.node] = {{"before", node.before}, {"largest", node.largest}, {"after", node.after}};
  }
  return json;
}

Json CatchUpJson(const CatchUpResult& result) {
  const double seconds = result.during.load.seconds;
  return {{"backlog_events", result.backlog_events},
          {"delivered_events", result.delivered_events},
          {"delivered_per_second",
           seconds <= 0 ? 0 : static_cast<double>(result.delivered_events) / seconds},
          {"seconds", seconds},
          {"caught_up", result.caught_up},
          {"live_before", LoadJson(result.before)},
          {"live_during", LoadJson(result.during)},
          {"memory_mib", MemoryJson(result.memory)}};
}

Json FailoverJson(const FailoverResult& result) {
  Json faults = Json::array();
  for (const FaultResult& fault : result.faults) {
    faults.push_back(
        {{"fault", fault.fault},
         {"target", fault.target},
         {"owned_partitions", fault.partitions},
         {"partition_ack_gap_ms_max", fault.gaps.partition_ms},
         {"ack_gap_ms_max", fault.gaps.producer_ms},
         {"takeover_ms", Number(fault.takeover_ms)},
         {"takeover_all_ms", Number(fault.takeover_all_ms)},
         {"new_owners_ms", Number(fault.new_owners_ms)},
         {"before_p99_ms", fault.latency.before_p99_ms},
         {"slowest_ms", fault.latency.slowest_ms},
         {"latency_back_ms", Number(fault.latency.back_ms)},
         {"repaired_ms", fault.whole.has_value() ? Json(absl::ToDoubleMilliseconds(*fault.whole))
                                                 : Json(nullptr)}});
  }
  return {{"rate", result.rate},
          {"acknowledged", result.acknowledged},
          {"failed", result.failed},
          {"faults", std::move(faults)}};
}

Json PhaseJson(const PhaseResult& result) {
  Json json = {{"phase", NameOf(result.phase)}};
  if (result.load.has_value()) json.update(LoadJson(*result.load));
  if (result.backlog.has_value()) {
    json.update(LoadJson(result.backlog->fill));
    json["backlog_events"] = result.backlog->events;
    json["memory_mib"] = MemoryJson(result.backlog->memory);
    json["disk_mib"] = result.backlog->disk_mib;
  }
  if (result.catch_up.has_value()) json.update(CatchUpJson(*result.catch_up));
  if (result.failover.has_value()) json.update(FailoverJson(*result.failover));
  json["passed"] = result.Passed();
  return json;
}

}  // namespace

std::string BenchJson(const BenchOptions& options, double event_bytes_mean,
                      const std::vector<PhaseResult>& results) {
  Json json = {{"event_bytes", event_bytes_mean}, {"producers", options.producers}};
  if (options.own_nodes()) json["partitions"] = options.partitions;
  json["measurements"] = Json::array();
  for (const PhaseResult& result : results) json["measurements"].push_back(PhaseJson(result));
  return json.dump(2) + "\n";
}

}  // namespace forebay
