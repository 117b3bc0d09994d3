#include "node/drill.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "node/sink_reader.h"
#include "runtime/random.h"
#include "runtime/real_clock.h"

namespace forebay {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(20);
constexpr absl::Duration kStatusEvery = absl::Milliseconds(200);
constexpr absl::Duration kStatusLimit = absl::Seconds(1);
// For everything to be settled, delivered and repaired after the last event was sent or the zone
// was healed.
constexpr absl::Duration kWindDownLimit = absl::Seconds(90);

// How long the zone stays broken. Killed: as long as a restart takes; frozen: until long after it
// was replaced (issue: 10 s); cut: beyond every time-out of the protocol.
absl::Duration HoldOf(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return absl::ZeroDuration();
    case Fault::kKill:
      return absl::Seconds(3);
    case Fault::kFreeze:
      return absl::Seconds(10);
    case Fault::kCut:
      return absl::Seconds(6);
  }
  return absl::ZeroDuration();
}

const char* Broken(Fault fault) {
  switch (fault) {
    case Fault::kKill:
      return "killed";
    case Fault::kFreeze:
      return "frozen";
    case Fault::kCut:
      return "cut off";
    case Fault::kNone:
      break;
  }
  return "left alone";
}

class Drill {
 public:
  Drill(const DrillOptions& options, ShutdownSignal& signal, DrillWatcher& watcher)
      : options_(options), signal_(signal), watcher_(watcher), name_("drill-" + Short()) {}

  absl::StatusOr<DrillReport> Run() {
    absl::StatusOr<DrillReport> report = RunInDirectory();
    load_.reset();
    if (cluster_) cluster_->Stop();
    if (directory_.empty()) return report;
    const bool passed = report.ok() ? report->Passed() : absl::IsCancelled(report.status());
    const bool keep = options_.keep || !passed;
    if (report.ok()) report->directory = keep ? directory_ : "";
    std::error_code ignored;
    if (!keep) std::filesystem::remove_all(directory_, ignored);
    return report;
  }

 private:
  static std::string Short() { return Random::FromSystem().HexId().substr(0, 8); }

  absl::StatusOr<DrillReport> RunInDirectory() {
    FOREBAY_RETURN_IF_ERROR(Prepare());
    FOREBAY_RETURN_IF_ERROR(Send());
    FOREBAY_RETURN_IF_ERROR(WindDown());
    return Compare();
  }

  absl::Status Prepare() {
    absl::StatusOr<EventSource> source =
        options_.input.empty() ? EventSource::MadeUp(300) : EventSource::FromFile(options_.input);
    if (!source.ok()) return source.status();
    source_ = *std::move(source);
    std::error_code error;
    std::string made = (std::filesystem::temp_directory_path(error) / "forebay-XXXXXX").string();
    if (error || ::mkdtemp(made.data()) == nullptr) {
      return absl::UnavailableError(absl::StrCat("cannot make a directory like ", made));
    }
    directory_ = made;
    PlaceSink();
    watcher_.Said(absl::StrCat("starting ", options_.zones, " zones with ", options_.nodes_per_zone,
                               " node(s) each in ", directory_));
    stream_.name = StreamId(name_);
    stream_.partitions = options_.partitions;
    // Fewer zones or nodes than the defaults ask for: what there is.
    stream_.copies = std::min(stream_.copies, options_.zones * options_.nodes_per_zone);
    stream_.ack_copies = std::min(stream_.ack_copies, stream_.copies);
    stream_.ack_zones = std::min(stream_.ack_zones, options_.zones);
    auto cluster = LocalCluster::Start({.directory = directory_,
                                        .zones = options_.zones,
                                        .nodes_per_zone = options_.nodes_per_zone,
                                        .etcd = options_.etcd,
                                        .cuttable = options_.fault == Fault::kCut,
                                        .stream = stream_,
                                        .sinks = {sink_}});
    if (!cluster.ok()) return cluster.status();
    cluster_ = *std::move(cluster);
    auto load = DrillLoad::Connect({.nodes = cluster_->addresses(),
                                    .stream = stream_.name,
                                    .producers = options_.producers,
                                    .events = options_.events,
                                    .rate = RateOf(options_)},
                                   source_, clock_);
    if (!load.ok()) return load.status();
    load_ = *std::move(load);
    return absl::OkStatus();
  }

  void PlaceSink() {
    std::string url = options_.sink;
    if (url == "sqlite") url = absl::StrCat("sqlite:", directory_, "/sink.db");
    sink_ = {.name = SinkId(name_), .url = url};
  }

  std::string Doing() const {
    if (!broken_at_.has_value()) return "all zones up";
    if (!healed_at_.has_value())
      return absl::StrCat("zone ", target_.value(), " ", Broken(fault()));
    return repaired_at_.has_value() ? "all zones up, fully replicated" : "all zones up, repairing";
  }

  void Show() {
    watcher_.Moment({.elapsed = clock_.Now() - started_,
                     .counts = load_->counts(),
                     .events = options_.events,
                     .doing = Doing()});
  }

  Fault fault() const { return options_.fault; }

  absl::Status Send() {
    started_ = clock_.Now();
    load_->Start();
    while (!load_->AllSent() || (fault() != Fault::kNone && !healed_at_.has_value())) {
      FOREBAY_RETURN_IF_ERROR(Step());
      // Producers that cannot send for so long will never send all.
      if (clock_.Now() - started_ > SendLimit()) {
        return absl::DeadlineExceededError(absl::StrCat(
            "after ", absl::FormatDuration(SendLimit()), " only ", load_->counts().sent, " of ",
            options_.events, " events could be sent; the logs are in ", directory_));
      }
    }
    sent_all_ = clock_.Now();
    return absl::OkStatus();
  }

  absl::Duration SendLimit() const {
    const double seconds = static_cast<double>(options_.events) / RateOf(options_);
    return absl::Seconds(3 * seconds) + kWindDownLimit;
  }

  // One turn of the conductor: break, heal, look.
  absl::Status Step() {
    FOREBAY_RETURN_IF_ERROR(cluster_->CheckRunning());
    if (fault() != Fault::kNone && !broken_at_.has_value() &&
        load_->counts().sent >= options_.events / 2) {
      FOREBAY_RETURN_IF_ERROR(Break());
    }
    if (broken_at_.has_value() && !healed_at_.has_value() &&
        clock_.Now() >= *broken_at_ + HoldOf(fault())) {
      FOREBAY_RETURN_IF_ERROR(cluster_->Heal());
      healed_at_ = clock_.Now();
      watcher_.Said(absl::StrCat("zone ", target_.value(), " is back"));
    }
    if (healed_at_.has_value() && !repaired_at_.has_value()) Look();
    Show();
    return signal_.WaitFor(kTick) ? absl::CancelledError("the drill was stopped by a signal")
                                  : absl::OkStatus();
  }

  absl::Status Break() {
    const absl::StatusOr<ClusterStatus> status = cluster_->remote().Status(kStatusLimit);
    if (!status.ok()) return WithContext(status.status(), "before the fault");
    std::map<NodeId, ZoneId> zone_of;
    for (const NodeStatus& node : status->nodes) zone_of[node.record.id] = node.record.zone;
    std::map<ZoneId, std::set<uint32_t>> owned;
    for (const ZoneId& zone : cluster_->zones()) owned[zone];
    for (const PartitionStatus& partition : status->partitions) {
      if (partition.partition.stream != stream_.name || partition.chain.segments.empty()) continue;
      owned[zone_of[partition.chain.segments.back().owner]].insert(partition.partition.index);
    }
    target_ = ZoneId(options_.target);
    if (options_.target == kMostOwners) {
      target_ = std::max_element(owned.begin(), owned.end(), [](const auto& a, const auto& b) {
                  return a.second.size() < b.second.size();
                })->first;
    }
    owned_by_target_ = owned[target_];
    broken_at_ = clock_.Now();
    FOREBAY_RETURN_IF_ERROR(cluster_->Break(target_, fault()));
    broken_complete_ = clock_.Now();
    watcher_.Said(absl::StrCat("zone ", target_.value(), " is ", Broken(fault()), ", it owned ",
                               owned_by_target_.size(), " of ", stream_.partitions, " partitions"));
    return absl::OkStatus();
  }

  // Looks whether every copy is there again.
  void Look() {
    if (clock_.Now() < looked_at_ + kStatusEvery) return;
    const absl::StatusOr<ClusterStatus> status = cluster_->remote().Status(kStatusLimit);
    looked_at_ = clock_.Now();
    if (!status.ok() || !FullyReplicated(*status, stream_)) return;
    repaired_at_ = looked_at_;
    watcher_.Said("fully replicated again");
  }

  absl::Status WindDown() {
    watcher_.Said("all sent; waiting for acknowledgements, the drain and repair");
    const absl::Time until = clock_.Now() + kWindDownLimit;
    while (clock_.Now() < until && !Settled()) FOREBAY_RETURN_IF_ERROR(Step());
    if (!Settled()) watcher_.Said("not everything was answered in time");
    load_->Finish(absl::Seconds(1)).IgnoreError();  // the verdict counts what is missing
    while (clock_.Now() < until && !(Drained() && Repaired())) FOREBAY_RETURN_IF_ERROR(Step());
    if (!Drained()) watcher_.Said("not everything was delivered in time");
    if (!Repaired()) watcher_.Said("not fully replicated in time");
    return absl::OkStatus();
  }

  bool Repaired() const { return fault() == Fault::kNone || repaired_at_.has_value(); }

  bool Settled() const {
    const DrillLoadCounts counts = load_->counts();
    return counts.acknowledged + counts.failed == counts.sent;
  }

  // Every partition's owner answers, and its sink has everything committed.
  bool Drained() {
    if (drained_) return true;
    if (clock_.Now() < drain_looked_at_ + kStatusEvery) return false;
    const absl::StatusOr<ClusterStatus> status = cluster_->remote().Status(kStatusLimit);
    drain_looked_at_ = clock_.Now();
    if (!status.ok()) return false;
    std::map<PartitionId, Offset> committed;
    for (const PartitionStatus& partition : status->partitions) {
      if (partition.partition.stream != stream_.name) continue;
      if (!partition.owned_here) return false;
      committed[partition.partition] = partition.committed;
    }
    size_t done = 0;
    for (const SinkState& sink : status->sinks) {
      if (sink.sink != sink_.name) continue;
      done += sink.lag_events == 0 && sink.cursor >= committed[sink.partition] ? 1 : 0;
    }
    drained_ = done >= stream_.partitions;
    return drained_;
  }

  absl::StatusOr<DrillReport> Compare() {
    watcher_.Said("comparing, event by event");
    absl::StatusOr<std::vector<SinkRow>> rows = ReadSink(sink_.url, name_);
    if (!rows.ok()) return WithContext(rows.status(), "read the sink");
    std::optional<DrillFault> fault;
    if (broken_at_.has_value())
      fault = {.began = *broken_at_, .complete = broken_complete_, .partitions = owned_by_target_};
    DrillReport report;
    report.verdict = Judge(load_->logs(), *rows, fault);
    report.target = target_;
    if (repaired_at_.has_value()) {
      report.repaired_ms = absl::ToDoubleMilliseconds(*repaired_at_ - *broken_at_);
    }
    report.seconds = absl::ToDoubleSeconds(sent_all_ - started_);
    report.failed = load_->counts().failed;
    report.failures = load_->failures();
    // A database outlives the drill; what went well needs no rows kept.
    if (report.Passed() && !options_.keep && sink_.url.rfind("postgres", 0) == 0) {
      const absl::Status cleared = ClearPostgres(sink_.url, name_);
      if (!cleared.ok()) watcher_.Said(std::string(cleared.message()));
    }
    return report;
  }

  const DrillOptions& options_;
  ShutdownSignal& signal_;
  DrillWatcher& watcher_;
  const std::string name_;  // of the stream and the sink: unique, for sinks that outlive the drill
  RealClock clock_;
  EventSource source_ = EventSource::MadeUp(0);
  StreamOptions stream_;
  std::string directory_;
  LocalSink sink_;
  std::unique_ptr<LocalCluster> cluster_;
  std::unique_ptr<DrillLoad> load_;

  absl::Time started_;
  absl::Time sent_all_;
  absl::Time looked_at_ = absl::InfinitePast();
  absl::Time drain_looked_at_ = absl::InfinitePast();
  bool drained_ = false;
  std::optional<absl::Time> broken_at_;
  absl::Time broken_complete_;
  std::optional<absl::Time> healed_at_;
  std::optional<absl::Time> repaired_at_;
  ZoneId target_;
  std::set<uint32_t> owned_by_target_;
};

}  // namespace

double RateOf(const DrillOptions& options) {
  if (options.rate > 0) return options.rate;
  // 16 s, but no more than two cores with three nodes and four producers carry with ease.
  return std::clamp(static_cast<double>(options.events) / 16, 50.0, 8000.0);
}

const char* NameOf(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "none";
    case Fault::kKill:
      return "kill";
    case Fault::kFreeze:
      return "freeze";
    case Fault::kCut:
      return "cut";
  }
  return "none";
}

bool DrillReport::Passed() const {
  return verdict.ExactlyOnce() && failed == 0 && verdict.acknowledged == verdict.sent &&
         (target.empty() || repaired_ms.has_value());
}

absl::StatusOr<DrillReport> RunDrill(const DrillOptions& options, ShutdownSignal& signal,
                                     DrillWatcher& watcher) {
  return Drill(options, signal, watcher).Run();
}

}  // namespace forebay
