#include "load/bench_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/numbers.h"
#include "cli/text_table.h"

namespace forebay {
namespace {

constexpr char kIndent[] = "         ";

std::string Whole(double number) { return Grouped(static_cast<uint64_t>(number)); }

std::string Ms(double ms) { return absl::StrFormat("%.*f", ms < 100 ? 2 : 0, ms); }
std::string Ms(absl::Duration time) { return Ms(absl::ToDoubleMilliseconds(time)); }
template <typename Time>
std::string Ms(const std::optional<Time>& time) {
  return time.has_value() ? Ms(*time) : "-";
}

std::string Indented(const std::string& table) {
  std::string out = kIndent;
  for (const char c : table) {
    out += c;
    if (c == '\n') out += kIndent;
  }
  out.resize(out.size() - (sizeof(kIndent) - 1));
  return out;
}

std::string LatencyText(const Measurement& m) {
  return absl::StrFormat("p50 %7.2f ms  p99 %7.2f ms  p99.9 %7.2f ms  max %7.2f ms",
                         m.Milliseconds(0.5), m.Milliseconds(0.99), m.Milliseconds(0.999),
                         absl::ToDoubleMilliseconds(m.load.latency.max()));
}

std::string RateText(const Measurement& m) {
  return absl::StrFormat("%10s events/s %8.1f MB/s", Whole(m.load.PerSecond()),
                         m.load.seconds <= 0 ? 0 : m.bytes_taken_in / m.load.seconds / 1e6);
}

std::string CostText(const Measurement& m) {
  std::string out;
  if (m.nodes.cpu_seconds > 0) {
    absl::StrAppend(
        &out, kIndent,
        absl::StrFormat("nodes %.2f CPU s, clients %.2f CPU s per million events; %.2f bytes "
                        "written by all nodes per byte taken in\n",
                        m.PerMillion(m.nodes.cpu_seconds), m.PerMillion(m.client_cpu_seconds),
                        m.WrittenPerByte()));
  }
  if (m.load.by_partition.size() > 1 && m.load.acknowledged > 0) {
    absl::StrAppend(&out, kIndent,
                    absl::StrFormat("the partition with most of them has %.0f %% of the events\n",
                                    100 * m.load.LargestPartitionShare()));
  }
  return out;
}

std::string StagesText(const std::vector<StageRow>& stages) {
  if (stages.empty()) return "";
  TextTable table({"a block's", "mean ms", "p50", "p99", ""});
  for (const StageRow& row : stages) {
    table.Row({row.stage, Ms(row.mean), Ms(row.p50), Ms(row.p99), row.meaning});
  }
  return Indented(table.Text());
}

std::string FailuresText(uint64_t failed, const std::string& first) {
  if (failed == 0) return "";
  return absl::StrCat(kIndent, "FAILED appends: ", Grouped(failed), ", the first: ", first, "\n");
}

std::string LoadText(const std::string& name, const Measurement& m) {
  return absl::StrCat(absl::StrFormat("%-8s", name), RateText(m), "   ", LatencyText(m), "\n",
                      CostText(m), StagesText(m.stages),
                      FailuresText(m.load.failed, m.load.first_failure));
}

std::string MemoryText(const std::vector<NodeMemory>& memory) {
  std::string out;
  for (const NodeMemory& node : memory) {
    absl::StrAppend(&out, out.empty() ? "" : ", ",
                    absl::StrFormat("%s %.0f (before %.0f, at most %.0f)", node.node, node.after,
                                    node.before, node.largest));
  }
  return absl::StrCat(kIndent, "memory MiB: ", out, "\n");
}

std::string BacklogText(const BacklogResult& result) {
  return absl::StrCat(
      LoadText("backlog", result.fill), kIndent, Grouped(result.events),
      absl::StrFormat(" events wait, filled in %.1f s; on the disks of all nodes %s MiB\n",
                      result.fill.load.seconds, Whole(result.disk_mib)),
      MemoryText(result.memory));
}

std::string CatchUpText(const CatchUpResult& result) {
  const Measurement& during = result.during;
  const double seconds = during.load.seconds;
  const double per_second =
      seconds <= 0 ? 0 : static_cast<double>(result.delivered_events) / seconds;
  return absl::StrCat(
      absl::StrFormat("catch-up %9s events/s delivered: %s in %.1f s, %s of them backlog%s\n",
                      Whole(per_second), Grouped(result.delivered_events), seconds,
                      Grouped(result.backlog_events),
                      result.caught_up ? "" : "; it did NOT catch up, and got no further"),
      kIndent, "live, before  ", RateText(result.before), "   ", LatencyText(result.before), "\n",
      kIndent, "live, during  ", RateText(during), "   ", LatencyText(during), "\n",
      CostText(during), StagesText(during.stages), MemoryText(result.memory),
      result.sink_beside_nodes
          ? absl::StrCat(kIndent,
                         "the sink's file is on the nodes' disk and competes with their logs; "
                         "--sink sqlite:FILE puts it elsewhere\n")
          : "",
      FailuresText(during.load.failed, during.load.first_failure));
}

std::string FailoverText(const FailoverResult& result) {
  TextTable table({"fault", "owned", "partition's gap ms", "producer's gap", "first ack", "all ack",
                   "all owned", "p99 before", "slowest", "latency back", "copies back"});
  for (const FaultResult& fault : result.faults) {
    table.Row({absl::StrCat(fault.fault, " ", fault.target), absl::StrCat(fault.partitions),
               Ms(fault.gaps.partition_ms), Ms(fault.gaps.producer_ms), Ms(fault.takeover_ms),
               Ms(fault.takeover_all_ms), Ms(fault.new_owners_ms), Ms(fault.latency.before_p99_ms),
               Ms(fault.latency.slowest_ms), Ms(fault.latency.back_ms),
               fault.whole.has_value() ? InSeconds(*fault.whole) : "NOT in time"});
  }
  return absl::StrCat(
      absl::StrFormat("failover at %s events/s: %s acknowledged\n", Whole(result.rate),
                      Grouped(result.acknowledged)),
      Indented(table.Text()), kIndent,
      "gap: the longest time without an acknowledgement. first, all: from the fault until a new "
      "owner acknowledges, for the\n",
      kIndent,
      "first and the last of the partitions. owned: until others own them all. latency back: from "
      "the fault until appends take as\n",
      kIndent, "long as before. copies back: after its end\n",
      FailuresText(result.failed, result.first_failure));
}

}  // namespace

std::string BenchHead(const BenchOptions& options, double event_bytes_mean) {
  return absl::StrFormat(
      "events of %.0f bytes%s, %d producers, %s\n", event_bytes_mean,
      options.events.sizes.size() > 1 ? " in the mean" : "", options.producers,
      options.own_nodes()
          ? absl::StrFormat("three nodes started here, %d partitions", options.partitions)
          : "running nodes");
}

std::string BenchText(const PhaseResult& result) {
  if (result.backlog.has_value()) return BacklogText(*result.backlog);
  if (result.catch_up.has_value()) return CatchUpText(*result.catch_up);
  if (result.failover.has_value()) return FailoverText(*result.failover);
  return LoadText(NameOf(result.phase), *result.load);
}

}  // namespace forebay
