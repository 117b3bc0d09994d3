#include "drill/drill_report.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/numbers.h"
#include "drill/rounds_report.h"

namespace forebay {

namespace {

std::string WhatHappened(const DrillOptions& options, const DrillReport& report) {
  if (report.chaos.has_value()) {
    return absl::StrCat(report.chaos->faults.size(), " faults of seed ", options.chaos->seed,
                        " in ", absl::FormatDuration(options.chaos->length));
  }
  if (options.rounds.has_value()) {
    return absl::StrCat(report.rounds->rounds.size(), " rounds of ", options.rounds->kind,
                        ", seed ", options.rounds->seed);
  }
  return absl::StrCat(
      "fault ", NameOf(options.fault),
      report.target.empty() ? "" : absl::StrCat(" of zone ", report.target.value()));
}

// Of the recovery of a fault: nothing when another one came first.
std::string RecoveryText(const ChaosSpan& span) {
  if (!span.recovered.has_value()) return "-";
  return InSeconds(*span.recovered);
}

// A row per fault, in order.
std::string FaultTable(const ChaosReport& chaos) {
  std::string out = absl::StrFormat("\n  %8s  %8s  %-22s %14s %15s %11s\n", "from s", "to s",
                                    "fault", "producer's gap", "partition's gap", "recovered");
  for (const ChaosRecord& fault : chaos.faults) {
    const ChaosSpan& span = fault.span;
    const std::string to =
        span.ended.has_value() ? absl::StrFormat("%.1f", absl::ToDoubleSeconds(*span.ended)) : "-";
    absl::StrAppend(&out, absl::StrFormat("  %8.1f  %8s  %-22s %11s ms %12s ms %11s\n",
                                          absl::ToDoubleSeconds(span.began), to,
                                          absl::StrCat(NameOf(span.fault.kind), " ", span.target),
                                          Grouped(static_cast<uint64_t>(fault.gaps.producer_ms)),
                                          Grouped(static_cast<uint64_t>(fault.gaps.partition_ms)),
                                          RecoveryText(span)));
  }
  absl::StrAppend(&out,
                  "  gap: the longest time without an acknowledgement; recovered: from the end of "
                  "the fault to fully\n  replicated (or the sink caught up), - when another "
                  "fault came first\n");
  for (const std::string& kind : chaos.left_out) {
    absl::StrAppend(&out, "  left out: ", kind, "\n");
  }
  return out;
}

// Whether anything leaks.
std::string LevelsTable(const ChaosReport& chaos) {
  if (chaos.levels.empty()) return "";
  std::string out = absl::StrFormat("\n  %-22s %16s %14s %14s\n", "a node takes", "second quarter",
                                    "last quarter", "at most");
  for (size_t i = 0; i < chaos.levels.size(); ++i) {
    const LevelsRow& row = chaos.levels[i];
    absl::StrAppend(&out, absl::StrFormat("  %-22s %16.0f %14.0f %14.0f\n", kLevelNames.at(i),
                                          row.second_quarter, row.last_quarter, row.largest));
  }
  return out + "  medians over all nodes and that quarter of the time; at most: any node\n";
}

}  // namespace

std::string DrillTable(const DrillOptions& options, const DrillReport& report) {
  const DrillVerdict& v = report.verdict;
  std::string out;
  const auto row = [&](const std::string& name, const std::string& value) {
    absl::StrAppend(&out, absl::StrFormat("  %-52s %12s\n", name, value));
  };
  const auto ms = [](std::optional<double> value) {
    return value.has_value() ? absl::StrFormat("%s ms", Grouped(static_cast<uint64_t>(*value)))
                             : std::string("-");
  };
  absl::StrAppend(&out, "\n", WhatHappened(options, report), ", sink ",
                  options.sink.substr(0, options.sink.find(':')), ", metadata ",
                  options.etcd ? "etcd" : "sqlite", options.tls ? ", TLS" : "", "\n");
  row("sent", Grouped(v.sent));
  row("acknowledged", Grouped(v.acknowledged));
  row("delivered", Grouped(v.delivered));
  row("lost", Grouped(v.lost));
  row("duplicated", Grouped(v.duplicated));
  row("out of order", Grouped(v.out_of_order));
  if (v.never_sent > 0) row("in the sink, but never sent", Grouped(v.never_sent));
  row("longest gap without an acknowledgement", ms(v.ack_gap_ms_max));
  if (options.fault != Fault::kNone) {
    row("fault to first acknowledgement by a new owner", ms(v.takeover_ms));
    row("fault to the last partition's first acknowledgement", ms(v.takeover_all_ms));
    row("fault to fully replicated again", ms(report.repaired_ms));
  }
  if (report.chaos.has_value()) {
    absl::StrAppend(&out, FaultTable(*report.chaos), LevelsTable(*report.chaos), "\n");
  }
  if (report.rounds.has_value()) absl::StrAppend(&out, RoundsTable(*report.rounds));
  for (const std::string& example : v.examples) absl::StrAppend(&out, "  ", example, "\n");
  if (report.failed > 0) row("appends not stored or unknown", Grouped(report.failed));
  for (const std::string& failure : report.failures) absl::StrAppend(&out, "  ", failure, "\n");
  if (report.Passed()) {
    absl::StrAppend(&out, "Every event arrived exactly once, in order.\n");
  } else if (v.ExactlyOnce()) {
    absl::StrAppend(&out,
                    "Nothing acknowledged was lost, doubled or misplaced, but not every event was "
                    "acknowledged or not every copy came back in time.\n");
  } else {
    absl::StrAppend(&out, "FAILED: events were lost, doubled or misplaced.\n");
  }
  if (!report.directory.empty()) {
    absl::StrAppend(&out, "Data, configurations and logs are kept in ", report.directory, "\n");
  }
  return out;
}

namespace {

using Json = nlohmann::ordered_json;

Json FaultsJson(const ChaosReport& chaos) {
  const auto ms = [](std::optional<absl::Duration> time) {
    return time.has_value() ? Json(absl::ToInt64Milliseconds(*time)) : Json(nullptr);
  };
  Json faults = Json::array();
  for (const ChaosRecord& fault : chaos.faults) {
    const ChaosSpan& span = fault.span;
    const bool sink = span.fault.kind == ChaosKind::kBreakSink;
    faults.push_back({{"fault", NameOf(span.fault.kind)},
                      {"target", span.target},
                      {"start_ms", ms(span.began)},
                      {"end_ms", ms(span.ended)},
                      {"ack_gap_ms_max", static_cast<int64_t>(fault.gaps.producer_ms)},
                      {"partition_ack_gap_ms_max", static_cast<int64_t>(fault.gaps.partition_ms)},
                      {"repaired_ms", sink ? Json(nullptr) : ms(span.recovered)},
                      {"caught_up_ms", sink ? ms(span.recovered) : Json(nullptr)}});
  }
  return faults;
}

Json LevelsJson(const ChaosReport& chaos) {
  Json levels = Json::object();
  for (size_t i = 0; i < chaos.levels.size(); ++i) {
    const LevelsRow& row = chaos.levels[i];
    levels[kLevelNames.at(i)] = {{"second_quarter", row.second_quarter},
                                 {"last_quarter", row.last_quarter},
                                 {"largest", row.largest}};
  }
  return levels;
}

std::string FaultName(const DrillOptions& options) {
  if (options.rounds.has_value()) return options.rounds->kind;
  return options.chaos.has_value() ? "chaos" : NameOf(options.fault);
}

}  // namespace

std::string DrillJson(const DrillOptions& options, const DrillReport& report) {
  const auto number = [](std::optional<double> value) {
    return value.has_value() ? Json(static_cast<int64_t>(*value)) : Json(nullptr);
  };
  const DrillVerdict& v = report.verdict;
  Json json = {{"sent", v.sent},
               {"acknowledged", v.acknowledged},
               {"delivered", v.delivered},
               {"lost", v.lost},
               {"duplicated", v.duplicated},
               {"out_of_order", v.out_of_order},
               {"ack_gap_ms_max", number(v.ack_gap_ms_max)},
               {"takeover_ms", number(v.takeover_ms)},
               {"repaired_ms", number(report.repaired_ms)},
               {"takeover_all_ms", number(v.takeover_all_ms)},
               {"never_sent", v.never_sent},
               {"not_acknowledged", report.failed},
               {"seconds", report.seconds},
               {"fault", FaultName(options)},
               {"target", report.target.value()},
               {"sink", options.sink.substr(0, options.sink.find(':'))},
               {"metadata", options.etcd ? "etcd" : "sqlite"},
               {"tls", options.tls},
               {"zones", options.zones},
               {"nodes_per_zone", options.nodes_per_zone},
               {"passed", report.Passed()}};
  if (report.chaos.has_value()) {
    json["seed"] = options.chaos->seed;
    json["length_seconds"] = absl::ToDoubleSeconds(options.chaos->length);
    json["fully_replicated"] = report.repaired;
    json["faults"] = FaultsJson(*report.chaos);
    json["levels"] = LevelsJson(*report.chaos);
    json["left_out"] = report.chaos->left_out;
  }
  if (report.rounds.has_value()) {
    json["seed"] = options.rounds->seed;
    json["times"] = options.rounds->times;
    json["fully_replicated"] = report.repaired;
    json["rounds"] = RoundsJson(*report.rounds);
  }
  return json.dump(2) + "\n";
}

}  // namespace forebay
