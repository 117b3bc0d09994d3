#include "drill/chaos_drill.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "testbed/local_clock.h"
#include "testbed/local_disk.h"

namespace forebay {
namespace {

constexpr absl::Duration kLevelsEvery = absl::Seconds(2);

}  // namespace

ChaosDrill::ChaosDrill(const DrillOptions& options, ShutdownSignal& signal, DrillWatcher& watcher)
    : options_(options), watcher_(watcher), bed_(options, signal, watcher) {}

ChaosDrill::~ChaosDrill() = default;

absl::StatusOr<DrillReport> ChaosDrill::Run() {
  absl::StatusOr<DrillReport> report = RunOnBed();
  breaker_.reset();
  bed_.Close(report);
  return report;
}

// What can be broken here.
ChaosScope ChaosDrill::LookAround() {
  ChaosScope scope{.zones = options_.zones,
                   .nodes_per_zone = options_.nodes_per_zone,
                   .etcd = options_.etcd,
                   .disks = false,
                   .clocks = false,
                   .certificates = options_.tls,
                   .sink = options_.sink == "postgres" || options_.sink.rfind("sqlite", 0) == 0,
                   .length = options_.chaos->length};
  const absl::Status disks = LocalDisk::Allow();
  scope.disks = disks.ok();
  if (!disks.ok()) {
    report_.left_out.push_back(absl::StrCat("power cut, disk full: ", disks.message()));
  }
  const absl::Status clocks = LocalClock::Allow();
  scope.clocks = clocks.ok();
  if (!clocks.ok()) report_.left_out.push_back(absl::StrCat("clock jump: ", clocks.message()));
  if (!scope.etcd) report_.left_out.push_back("kill etcd: the metadata store is SQLite");
  if (!scope.sink) {
    report_.left_out.push_back("break sink: only with --sink sqlite, sqlite:FILE or postgres");
  }
  return scope;
}

void ChaosDrill::MakeSinkBreaker() {
  const std::string& url = bed_.sink().url;
  if (bed_.postgres() != nullptr) {
    breaker_ = MakePostgresBreaker(*bed_.postgres());
  } else if (url.rfind("sqlite:", 0) == 0) {
    breaker_ = MakeSqliteBreaker(url.substr(7));
  }
}

absl::StatusOr<DrillReport> ChaosDrill::RunOnBed() {
  const ChaosScope scope = LookAround();
  const uint64_t seed = options_.chaos->seed;
  std::vector<ChaosFault> plan = PlanChaos(scope, seed);
  watcher_.Said(absl::StrCat("seed ", seed, ": ", plan.size(), " faults in ",
                             absl::FormatDuration(scope.length)));
  for (const std::string& kind : report_.left_out) watcher_.Said("left out: " + kind);
  FOREBAY_RETURN_IF_ERROR(
      bed_.Prepare({.cuttable = true, .disks = scope.disks, .clocks = scope.clocks}));
  MakeSinkBreaker();
  const auto say = [this](absl::Duration now, const std::string& line) {
    watcher_.Said(absl::StrFormat("%6.1f s  %s", absl::ToDoubleSeconds(now), line));
  };
  conductor_ = std::make_unique<ChaosConductor>(
      std::move(plan),
      ChaosConductor::Place{
          .cluster = bed_.cluster(), .sink = breaker_.get(), .say = say, .rate = RateOf(options_)});
  bed_.StartLoad();
  while (!bed_.load().AllSent()) FOREBAY_RETURN_IF_ERROR(Step());
  FOREBAY_RETURN_IF_ERROR(
      bed_.WindDown([this] { return Step(); }, [this] { return conductor_->Done(); }));
  return Compare();
}

absl::Status ChaosDrill::Step() {
  const ClusterSample sample = bed_.watch().last();
  const ClusterLook look{.at = sample.at - bed_.started(),
                         .all_up = sample.all_up,
                         .whole_at = sample.whole_at - bed_.started(),
                         .lag_events = sample.lag_events};
  FOREBAY_RETURN_IF_ERROR(conductor_->Turn(Elapsed(), look));
  if (Elapsed() >= levels_at_ + kLevelsEvery) {
    levels_at_ = Elapsed();
    levels_.Note(levels_at_, bed_.cluster().levels());
  }
  return bed_.Turn(conductor_->Doing());
}

absl::StatusOr<DrillReport> ChaosDrill::Compare() {
  absl::StatusOr<DrillReport> report = bed_.Compare(std::nullopt);
  if (!report.ok()) return report;
  const absl::Time started = bed_.started();
  std::vector<std::pair<absl::Time, absl::Time>> spans;
  for (const ChaosSpan& span : conductor_->spans()) {
    spans.emplace_back(started + span.began, started + span.ended.value_or(Elapsed()));
  }
  const std::vector<DrillLog> logs = bed_.load().logs();
  const std::vector<AckGaps> gaps = GapsDuring(logs, spans);
  for (size_t i = 0; i < spans.size(); ++i) {
    report_.faults.push_back({.span = conductor_->spans()[i], .gaps = gaps[i]});
  }
  report_.samples = bed_.watch().samples();
  report_.acknowledged = AcknowledgedEachSecond(logs, started);
  report_.started = started;
  report_.levels = levels_.Rows();
  report->repaired = conductor_->Done();
  report->chaos = std::move(report_);
  return report;
}

}  // namespace forebay
