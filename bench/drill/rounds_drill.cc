#include "drill/rounds_drill.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status.h"
#include "cli/numbers.h"

namespace forebay {
namespace {

// For the cluster to get whole after a round.
constexpr absl::Duration kWholeLimit = absl::Seconds(90);

}  // namespace

void RoundStage::Begin(std::string what) {
  round_.what = std::move(what);
  round_.began = round_.in_effect = round_.ended = bed_.clock().Now();
}

std::string RoundStage::Doing() const {
  return absl::StrCat("round ", round_.number, " of ", options_.rounds->times,
                      round_.what.empty() ? "" : absl::StrCat(": ", round_.what));
}

absl::Status RoundStage::Spend(absl::Duration duration) {
  const absl::Time until = bed_.clock().Now() + duration;
  do {
    FOREBAY_RETURN_IF_ERROR(bed_.Turn(Doing()));
  } while (bed_.clock().Now() < until);
  return absl::OkStatus();
}

absl::Status RoundStage::WaitUntil(const std::function<bool()>& done, absl::Duration limit,
                                   const std::string& what) {
  const absl::Time until = bed_.clock().Now() + limit;
  while (!done()) {
    if (bed_.clock().Now() >= until) {
      return absl::DeadlineExceededError(
          absl::StrCat(Doing(), ": ", what, " took longer than ", absl::FormatDuration(limit)));
    }
    FOREBAY_RETURN_IF_ERROR(bed_.Turn(Doing()));
  }
  return absl::OkStatus();
}

bool RoundStage::WholeSince(absl::Time time) const {
  const ClusterSample sample = bed_.watch().last();
  return sample.all_up && sample.at > time && sample.whole_at > time;
}

std::vector<RoundKind> RoundKinds() {
  return {PowerCutRounds(), MembershipRounds(), FlipBitRounds()};
}

RoundsDrill::RoundsDrill(const DrillOptions& options, ShutdownSignal& signal, DrillWatcher& watcher)
    : options_(options),
      watcher_(watcher),
      bed_(options, signal, watcher),
      random_(options.rounds->seed) {}

RoundsDrill::~RoundsDrill() = default;

absl::StatusOr<DrillReport> RoundsDrill::Run() {
  absl::StatusOr<DrillReport> report = RunOnBed();
  bed_.Close(report);
  return report;
}

absl::StatusOr<DrillReport> RoundsDrill::RunOnBed() {
  const std::vector<RoundKind> kinds = RoundKinds();
  const auto kind = std::find_if(kinds.begin(), kinds.end(), [this](const RoundKind& k) {
    return k.name == options_.rounds->kind;
  });
  FOREBAY_CHECK(kind != kinds.end(), options_.rounds->kind);
  LocalClusterOptions cluster;
  FOREBAY_RETURN_IF_ERROR(kind->prepare(options_, cluster));
  watcher_.Said(absl::StrCat("seed ", options_.rounds->seed, ": ", options_.rounds->times,
                             " rounds of ", kind->name));
  FOREBAY_RETURN_IF_ERROR(bed_.Prepare(cluster));
  bed_.StartLoad();
  for (int number = 1; number <= options_.rounds->times; ++number) {
    report_.rounds.push_back({.number = number});
    const absl::StatusOr<bool> whole = RunRound(*kind);
    if (!whole.ok()) return WithContext(whole.status(), "round ", number);
    if (!*whole) break;
  }
  FOREBAY_RETURN_IF_ERROR(WindDown());
  return Compare();
}

absl::StatusOr<bool> RoundsDrill::RunRound(const RoundKind& kind) {
  Round& round = report_.rounds.back();
  RoundStage stage(options_, bed_, random_, round);
  // Something of everything is then under way: blocks, drain, trim.
  FOREBAY_RETURN_IF_ERROR(
      stage.Spend(random_.Between(absl::Milliseconds(500), absl::Milliseconds(2500))));
  FOREBAY_RETURN_IF_ERROR(kind.run(stage));
  const absl::Status whole = stage.WaitUntil([&] { return stage.WholeSince(round.ended); },
                                             kWholeLimit, "full replication");
  if (!whole.ok() && !absl::IsDeadlineExceeded(whole)) return whole;
  if (whole.ok()) round.replicated = bed_.clock().Now() - round.ended;
  const DrillLoadCounts counts = bed_.load().counts();
  watcher_.Said(absl::StrCat(
      "round ", round.number, " of ", options_.rounds->times, ": ", round.what, ", ",
      whole.ok() ? absl::StrCat("fully replicated ", InSeconds(*round.replicated), " after it")
                 : absl::StrCat("NOT fully replicated after ", InSeconds(kWholeLimit)),
      "; acknowledged ", Grouped(counts.acknowledged), " so far"));
  return whole.ok();
}

absl::Status RoundsDrill::WindDown() {
  bed_.load().StopSending();
  const auto turn = [this] { return bed_.Turn("winding down"); };
  while (!bed_.load().AllSent()) FOREBAY_RETURN_IF_ERROR(turn());
  return bed_.WindDown(turn, [this] { return report_.rounds.back().replicated.has_value(); });
}

absl::StatusOr<DrillReport> RoundsDrill::Compare() {
  absl::StatusOr<DrillReport> report = bed_.Compare(std::nullopt);
  if (!report.ok()) return report;
  std::vector<Round>& rounds = report_.rounds;
  std::vector<AckSpan> spans;
  std::vector<std::pair<absl::Time, absl::Time>> faults;
  for (size_t i = 0; i < rounds.size(); ++i) {
    spans.push_back({.from = i == 0 ? bed_.started() : rounds[i].began,
                     .to = i + 1 < rounds.size() ? rounds[i + 1].began : absl::InfiniteFuture(),
                     .began = rounds[i].began,
                     .in_effect = rounds[i].in_effect});
    faults.emplace_back(rounds[i].began, rounds[i].ended);
  }
  const std::vector<DrillLog> logs = bed_.load().logs();
  const std::vector<AcksDuring> acks = AcknowledgedDuring(logs, spans);
  const std::vector<AckGaps> gaps = GapsDuring(logs, faults);
  for (size_t i = 0; i < rounds.size(); ++i) {
    rounds[i].acks = acks[i];
    rounds[i].gaps = gaps[i];
  }
  report->repaired =
      static_cast<int>(rounds.size()) == options_.rounds->times && rounds.back().replicated;
  report->rounds = std::move(report_);
  return report;
}

}  // namespace forebay
