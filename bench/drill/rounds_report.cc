#include "drill/rounds_report.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/numbers.h"
#include "cli/text_table.h"

namespace forebay {
namespace {

std::string Milliseconds(double ms) { return Grouped(static_cast<uint64_t>(ms)); }

std::string FirstAck(const std::optional<double>& ms) {
  return ms.has_value() ? Milliseconds(*ms) : "-";
}

std::string Replicated(const std::optional<absl::Duration>& after) {
  return after.has_value() ? absl::StrFormat("%.1f", absl::ToDoubleSeconds(*after)) : "NEVER";
}

// Of the first acknowledgement's time, what came after the fault.
std::optional<double> AfterTheEnd(const Round& round) {
  if (!round.acks.first_ms.has_value()) return std::nullopt;
  return std::max(0.0,
                  *round.acks.first_ms - absl::ToDoubleMilliseconds(round.ended - round.began));
}

// The worst of what all rounds have, none if one has none.
template <typename T>
std::optional<T> Worst(const std::optional<T>& one, const std::optional<T>& other) {
  if (!one.has_value() || !other.has_value()) return std::nullopt;
  return std::max(*one, *other);
}

// What became of the bits of one kind of file.
struct FlipCount {
  int flipped = 0;
  int found = 0;
  int not_found = 0;
  std::map<std::string, int> harmless;  // by why
};

std::string FlipsTable(const RoundsReport& rounds) {
  std::map<std::string, FlipCount> kinds;
  for (const Round& round : rounds.rounds) {
    if (!round.flip.has_value()) continue;
    FlipCount& count = kinds[round.flip->kind];
    count.flipped++;
    count.found += round.flip->found ? 1 : 0;
    if (!round.flip->harmless.empty()) count.harmless[round.flip->harmless]++;
    if (!round.flip->found && round.flip->harmless.empty()) count.not_found++;
  }
  if (kinds.empty()) return "";
  TextTable table(
      {"  a bit in", "flipped", "found, mended", "harmless", "NOT FOUND", "why harmless"});
  for (const auto& [kind, count] : kinds) {
    std::string why;
    for (const auto& [reason, times] : count.harmless) {
      absl::StrAppend(&why, why.empty() ? "" : "; ", reason, absl::StrFormat(" (%d)", times));
    }
    const int harmless = count.flipped - count.found - count.not_found;
    table.Row({"  " + kind, absl::StrCat(count.flipped), absl::StrCat(count.found),
               absl::StrCat(harmless), absl::StrCat(count.not_found), why});
  }
  return absl::StrCat("\n", table.Text());
}

}  // namespace

std::string RoundsTable(const RoundsReport& rounds) {
  TextTable table({"  round", "what happened", "acknowledged", "first ack ms", "after the end ms",
                   "longest gap ms", "fully replicated s"});
  uint64_t acknowledged = 0;
  std::optional<double> first = 0.0, after = 0.0;
  std::optional<absl::Duration> replicated = absl::ZeroDuration();
  double gap = 0;
  for (const Round& round : rounds.rounds) {
    table.Row({absl::StrFormat("  %5d", round.number), round.what, Grouped(round.acks.events),
               FirstAck(round.acks.first_ms), FirstAck(AfterTheEnd(round)),
               Milliseconds(round.gaps.partition_ms), Replicated(round.replicated)});
    acknowledged += round.acks.events;
    first = Worst(first, round.acks.first_ms);
    after = Worst(after, AfterTheEnd(round));
    gap = std::max(gap, round.gaps.partition_ms);
    replicated = Worst(replicated, round.replicated);
  }
  table.Row({"  total", absl::StrCat(rounds.rounds.size(), " rounds; the longest times"),
             Grouped(acknowledged), FirstAck(first), FirstAck(after), Milliseconds(gap),
             Replicated(replicated)});
  return absl::StrCat(
      "\n", table.Text(),
      "  first ack: from the fault to the first acknowledgement of an event sent after it;\n"
      "  after the end: the same, from the end of the fault; 0 when it was not over yet;\n"
      "  longest gap: of a partition, without an acknowledgement, while the fault lasted;\n"
      "  fully replicated: from the end of the fault until every copy was there again\n",
      FlipsTable(rounds));
}

nlohmann::ordered_json RoundsJson(const RoundsReport& rounds) {
  using Json = nlohmann::ordered_json;
  Json all = Json::array();
  for (const Round& round : rounds.rounds) {
    const auto& first = round.acks.first_ms;
    all.push_back(
        {{"round", round.number},
         {"what", round.what},
         {"acknowledged", round.acks.events},
         {"first_ack_ms", first ? Json(static_cast<int64_t>(*first)) : Json(nullptr)},
         {"first_ack_after_end_ms",
          first ? Json(static_cast<int64_t>(*AfterTheEnd(round))) : Json(nullptr)},
         {"partition_ack_gap_ms_max", static_cast<int64_t>(round.gaps.partition_ms)},
         {"fault_ms", absl::ToInt64Milliseconds(round.ended - round.began)},
         {"replicated_ms",
          round.replicated ? Json(absl::ToInt64Milliseconds(*round.replicated)) : Json(nullptr)}});
    if (!round.flip.has_value()) continue;
    all.back()["flip"] = {{"kind", round.flip->kind},
                          {"found", round.flip->found},
                          {"harmless", round.flip->harmless}};
  }
  return all;
}

}  // namespace forebay
