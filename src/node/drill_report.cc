#include "node/drill_report.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "node/numbers.h"

namespace forebay {

DrillProgress::~DrillProgress() { ClearLine(); }

void DrillProgress::ClearLine() {
  if (drawn_) std::cerr << "\r\033[K" << std::flush;
  drawn_ = false;
}

void DrillProgress::Moment(const DrillMoment& moment) {
  const absl::Duration every = terminal_ ? absl::Milliseconds(100) : absl::Seconds(1);
  if (moment.elapsed < shown_at_ + every) return;
  const double seconds = absl::ToDoubleSeconds(moment.elapsed - shown_at_);
  const uint64_t now = moment.counts.acknowledged;
  const double rate =
      seconds > 0 && seconds < 60 ? static_cast<double>(now - shown_acknowledged_) / seconds : 0;
  shown_at_ = moment.elapsed;
  shown_acknowledged_ = now;
  constexpr int kWidth = 24;
  const int filled =
      moment.events == 0 ? 0 : static_cast<int>(kWidth * moment.counts.sent / moment.events);
  const std::string bar = std::string(filled, '#') + std::string(kWidth - filled, '.');
  const std::string line =
      absl::StrFormat("%6.1f s [%s] sent %s  acknowledged %s (%s/s)  %s",
                      absl::ToDoubleSeconds(moment.elapsed), bar, Grouped(moment.counts.sent),
                      Grouped(now), Grouped(static_cast<uint64_t>(rate)), moment.doing);
  if (terminal_) {
    std::cerr << "\r\033[K" << line << std::flush;
    drawn_ = true;
  } else {
    std::cerr << line << std::endl;
  }
}

void DrillProgress::Said(const std::string& line) {
  ClearLine();
  std::cerr << "         " << line << std::endl;
}

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
  absl::StrAppend(&out, "\nfault ", NameOf(options.fault),
                  report.target.empty() ? "" : absl::StrCat(" of zone ", report.target.value()),
                  ", sink ", options.sink.substr(0, options.sink.find(':')), ", metadata ",
                  options.etcd ? "etcd" : "sqlite", "\n");
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

std::string DrillJson(const DrillOptions& options, const DrillReport& report) {
  using Json = nlohmann::ordered_json;
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
               {"fault", NameOf(options.fault)},
               {"target", report.target.value()},
               {"sink", options.sink.substr(0, options.sink.find(':'))},
               {"metadata", options.etcd ? "etcd" : "sqlite"},
               {"zones", options.zones},
               {"nodes_per_zone", options.nodes_per_zone},
               {"passed", report.Passed()}};
  return json.dump(2) + "\n";
}

}  // namespace forebay
