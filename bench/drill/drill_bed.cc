#include "drill/drill_bed.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "drill/sink_reader.h"
#include "runtime/random.h"

namespace forebay {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(20);
constexpr absl::Duration kStatusEvery = absl::Milliseconds(200);
constexpr absl::Duration kStatusLimit = absl::Seconds(1);
// For everything to be settled, delivered and repaired after the last event was sent or the last
// fault was over.
constexpr absl::Duration kWindDownLimit = absl::Seconds(90);

}  // namespace

DrillBed::DrillBed(const DrillOptions& options, ShutdownSignal& signal, DrillWatcher& watcher)
    : options_(options),
      signal_(signal),
      watcher_(watcher),
      name_("drill-" + Random::FromSystem().HexId().substr(0, 8)) {}

DrillBed::~DrillBed() = default;

absl::Status DrillBed::Prepare(const LocalClusterOptions& extra) {
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
  watcher_.Said(absl::StrCat("starting ", options_.zones, " zones with ", options_.nodes_per_zone,
                             " node(s) each in ", directory_));
  FOREBAY_RETURN_IF_ERROR(PlaceSink());
  FOREBAY_RETURN_IF_ERROR(StartCluster(extra));
  auto load = DrillLoad::Connect({.nodes = cluster_->addresses(),
                                  .tls = cluster_->client_tls(),
                                  .stream = stream_.name,
                                  .producers = options_.producers,
                                  .events = options_.events,
                                  .rate = RateOf(options_)},
                                 source_, clock_);
  if (!load.ok()) return load.status();
  load_ = *std::move(load);
  return absl::OkStatus();
}

absl::Status DrillBed::PlaceSink() {
  std::string url = options_.sink;
  if (url == "sqlite") url = absl::StrCat("sqlite:", directory_, "/sink.db");
  if (url == "postgres") {
    auto postgres = LocalPostgres::Start(directory_ + "/postgres");
    if (!postgres.ok()) return postgres.status();
    postgres_ = *std::move(postgres);
    url = postgres_->url();
  }
  sink_ = {.name = SinkId(name_), .url = url};
  return absl::OkStatus();
}

absl::Status DrillBed::StartCluster(LocalClusterOptions options) {
  stream_.name = StreamId(name_);
  stream_.partitions = options_.partitions;
  // Fewer zones or nodes than the defaults ask for: what there is.
  const int nodes = options_.zones * options_.nodes_per_zone;
  stream_.copies = std::min(stream_.copies, nodes);
  stream_.ack_copies = std::min(stream_.ack_copies, stream_.copies);
  stream_.ack_zones = std::min(stream_.ack_zones, options_.zones);
  options.directory = directory_;
  options.zones = options_.zones;
  options.nodes_per_zone = options_.nodes_per_zone;
  options.etcd = options_.etcd;
  options.tls = options_.tls;
  options.stream = stream_;
  options.sinks = {sink_};
  if (options.cuttable) options.networks = MayHaveNetworks();
  auto cluster = LocalCluster::Start(std::move(options));
  if (!cluster.ok()) return cluster.status();
  cluster_ = *std::move(cluster);
  ExpectNodes();
  watch_ = std::make_unique<ClusterWatch>(
      ClusterWatch::Options{.stream = stream_,
                            .sink = sink_.name,
                            .nodes =
                                [this] {
                                  MutexLock lock(mutex_);
                                  return nodes_;
                                },
                            .every = kStatusEvery,
                            .acknowledged = [this] { return load_->counts().acknowledged; }},
      cluster_->remote(), clock_);
  return absl::OkStatus();
}

// What is cut is cut by the kernel where that can be had.
bool DrillBed::MayHaveNetworks() {
  const bool reaches_out = postgres_ == nullptr && sink_.url.rfind("postgres", 0) == 0;
  const absl::Status allowed =
      reaches_out ? absl::FailedPreconditionError("the sink's server is not the drill's own")
                  : LocalNetwork::Allow();
  watcher_.Said(allowed.ok() ? "each zone has a network namespace of its own"
                             : absl::StrCat("zones are cut off by a proxy, not in network "
                                            "namespaces: ",
                                            allowed.message()));
  return allowed.ok();
}

void DrillBed::ExpectNodes() {
  std::set<NodeId> nodes;
  for (const std::string& name : cluster_->node_names()) nodes.insert(NodeId(name));
  MutexLock lock(mutex_);
  nodes_ = std::move(nodes);
}

void DrillBed::StartLoad() {
  started_ = clock_.Now();
  load_->Start();
  watch_->Start();
}

absl::Status DrillBed::Turn(const std::string& doing) {
  FOREBAY_RETURN_IF_ERROR(cluster_->CheckRunning());
  const absl::Time now = clock_.Now();
  watcher_.Moment({.elapsed = now - started_,
                   .counts = load_->counts(),
                   .events = options_.events,
                   .doing = doing});
  if (signal_.WaitFor(kTick)) return absl::CancelledError("the drill was stopped by a signal");
  const absl::Duration limit =
      absl::Seconds(3 * static_cast<double>(options_.events) / RateOf(options_)) + kWindDownLimit;
  if (options_.events > 0 && !load_->AllSent() && now - started_ > limit) {
    return absl::DeadlineExceededError(
        absl::StrCat("after ", absl::FormatDuration(limit), " only ", load_->counts().sent, " of ",
                     options_.events, " events could be sent; the logs are in ", directory_));
  }
  return absl::OkStatus();
}

absl::Status DrillBed::WindDown(const std::function<absl::Status()>& turn,
                                const std::function<bool()>& repaired) {
  sent_all_ = clock_.Now();
  watcher_.Said("all sent; waiting for acknowledgements, the drain and repair");
  const absl::Time until = clock_.Now() + kWindDownLimit;
  while (clock_.Now() < until && !Settled()) FOREBAY_RETURN_IF_ERROR(turn());
  if (!Settled()) watcher_.Said("not everything was answered in time");
  load_->Finish(absl::Seconds(1)).IgnoreError();  // the verdict counts what is missing
  while (clock_.Now() < until && !(Drained() && repaired())) FOREBAY_RETURN_IF_ERROR(turn());
  if (!Drained()) watcher_.Said("not everything was delivered in time");
  if (!repaired()) watcher_.Said("not fully replicated in time");
  return absl::OkStatus();
}

bool DrillBed::Settled() const {
  const DrillLoadCounts counts = load_->counts();
  return counts.acknowledged + counts.failed == counts.sent;
}

// Every partition's owner answers, and its sink has everything committed.
bool DrillBed::Drained() {
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

absl::StatusOr<DrillReport> DrillBed::Compare(const std::optional<DrillFault>& fault) {
  watcher_.Said("comparing, event by event");
  absl::StatusOr<std::vector<SinkRow>> rows = ReadSink(sink_.url, name_);
  if (!rows.ok()) return WithContext(rows.status(), "read the sink");
  DrillReport report;
  report.verdict = Judge(load_->logs(), *rows, fault);
  report.seconds = absl::ToDoubleSeconds(sent_all_ - started_);
  report.failed = load_->counts().failed;
  report.failures = load_->failures();
  return report;
}

void DrillBed::Close(absl::StatusOr<DrillReport>& report) {
  watch_.reset();
  load_.reset();
  if (cluster_) cluster_->Stop();
  cluster_.reset();
  const bool passed = report.ok() ? report->Passed() : absl::IsCancelled(report.status());
  const bool keep = options_.keep || !passed;
  // A database outlives the drill; what went well needs no rows kept.
  if (report.ok() && !keep && postgres_ == nullptr && sink_.url.rfind("postgres", 0) == 0) {
    const absl::Status cleared = ClearPostgres(sink_.url, name_);
    if (!cleared.ok()) watcher_.Said(std::string(cleared.message()));
  }
  postgres_.reset();
  if (directory_.empty()) return;
  if (report.ok()) report->directory = keep ? directory_ : "";
  std::error_code ignored;
  if (!keep) std::filesystem::remove_all(directory_, ignored);
}

}  // namespace forebay
