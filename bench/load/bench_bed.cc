#include "load/bench_bed.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/stream_choice.h"

namespace forebay {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(20);
constexpr absl::Duration kStatusLimit = absl::Seconds(2);

}  // namespace

BenchBed::BenchBed(const BenchOptions& options, ShutdownSignal& signal, DrillWatcher& watcher)
    : options_(options), signal_(signal), watcher_(watcher), started_(clock_.Now()) {}

BenchBed::~BenchBed() { StopNodes(); }

absl::Status BenchBed::Prepare() {
  absl::StatusOr<EventSource> source = options_.input.empty()
                                           ? EventSource::MadeUp(options_.events)
                                           : EventSource::FromFile(options_.input);
  if (!source.ok()) return source.status();
  source_ = *std::move(source);
  stream_.name = StreamId("bench");
  stream_.partitions = options_.partitions;
  if (options_.own_nodes()) return absl::OkStatus();
  pids_ = options_.pids;
  own_remote_ = std::make_unique<RemoteCluster>(options_.nodes);
  remote_ = own_remote_.get();
  const absl::StatusOr<StreamId> stream = ChooseStream(*remote_, options_.stream);
  if (!stream.ok()) return stream.status();
  stream_.name = *stream;
  return absl::OkStatus();
}

absl::Status BenchBed::MakeDirectory() {
  std::error_code error;
  std::filesystem::path base = options_.directory;
  if (base.empty()) base = std::filesystem::temp_directory_path(error);
  std::string made = (base / "forebay-bench-XXXXXX").string();
  if (error || ::mkdtemp(made.data()) == nullptr) {
    return absl::UnavailableError(absl::StrCat("cannot make a directory like ", made,
                                               "; say with --directory where there is room"));
  }
  directory_ = made;
  return absl::OkStatus();
}

// What an earlier stream has left there would stand in the way.
absl::Status BenchBed::PlaceSink() {
  const std::string file = options_.sink == "sqlite"
                               ? directory_ + "/sink.db"
                               : options_.sink.substr(std::string("sqlite:").size());
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--sink: ", file, " is there already; name a file that is not: the bench ",
                     "makes it, and removes it at its end"));
  }
  sink_file_ = file;
  return absl::OkStatus();
}

absl::Status BenchBed::StartNodes(bool with_sink, bool cuttable) {
  if (!options_.own_nodes()) return absl::OkStatus();
  StopNodes();
  FOREBAY_RETURN_IF_ERROR(MakeDirectory());
  std::vector<LocalSink> sinks;
  if (with_sink) {
    FOREBAY_RETURN_IF_ERROR(PlaceSink());
    sinks.push_back({.name = SinkId("bench"), .url = "sqlite:" + sink_file_});
  }
  auto cluster = LocalCluster::Start({.directory = directory_,
                                      .zones = 3,
                                      .nodes_per_zone = 1,
                                      .etcd = options_.etcd,
                                      .cuttable = cuttable,
                                      .stream = stream_,
                                      .sinks = std::move(sinks)});
  if (!cluster.ok()) return cluster.status();
  cluster_ = *std::move(cluster);
  remote_ = &cluster_->remote();
  pids_ = cluster_->node_pids();
  return absl::OkStatus();
}

void BenchBed::StopNodes() {
  if (cluster_ != nullptr) {
    cluster_->Stop();
    cluster_.reset();
    remote_ = nullptr;
  }
  std::error_code ignored;
  if (!directory_.empty() && !keep_) std::filesystem::remove_all(directory_, ignored);
  directory_.clear();
  for (const char* suffix : {"", "-wal", "-shm"}) {
    if (!sink_file_.empty() && !keep_) std::filesystem::remove(sink_file_ + suffix, ignored);
  }
  sink_file_.clear();
}

std::string BenchBed::Keep() {
  keep_ = true;
  return directory_;
}

absl::StatusOr<std::unique_ptr<BenchLoad>> BenchBed::Connect(double rate) {
  BenchLoadOptions load{.nodes = options_.nodes,
                        .stream = stream_.name,
                        .producers = options_.producers,
                        .rate = rate,
                        .in_flight = options_.InFlight(source_.bytes_mean())};
  if (cluster_ != nullptr) load.nodes.addresses = cluster_->addresses();
  return BenchLoad::Connect(load, source_, clock_);
}

absl::Status BenchBed::Spend(absl::Duration time, BenchLoad& load, const std::string& doing) {
  const absl::Time until = clock_.Now() + time;
  return SpendWhile([&]() -> absl::StatusOr<bool> { return clock_.Now() < until; }, load, doing);
}

absl::Status BenchBed::SpendWhile(const std::function<absl::StatusOr<bool>()>& go_on,
                                  BenchLoad& load, const std::string& doing) {
  while (true) {
    const absl::StatusOr<bool> more = go_on();
    if (!more.ok()) return more.status();
    if (!*more) return absl::OkStatus();
    if (signal_.WaitFor(kTick)) return absl::CancelledError("the bench was stopped by a signal");
    if (cluster_ != nullptr) FOREBAY_RETURN_IF_ERROR(cluster_->CheckRunning());
    const ProducerStats stats = load.stats();
    watcher_.Moment({.elapsed = clock_.Now() - started_,
                     .counts = {.sent = stats.appended_events,
                                .acknowledged = stats.acknowledged_events,
                                .failed = stats.not_stored_events + stats.unknown_events},
                     .events = 0,
                     .doing = doing});
  }
}

Meter::Meter(BenchBed& bed, BenchLoad& load, double rate)
    : bed_(bed),
      load_(load),
      rate_(rate),
      stages_(TakeStages(load.stats(), bed.remote(), kStatusLimit)) {
  nodes_ = UsageOf(bed.pids());
  client_cpu_seconds_ = UsageOfThisProcess().cpu_seconds;
  load_.Take();  // what came before does not count
}

Measurement Meter::End() {
  Measurement out;
  out.rate = rate_;
  out.load = load_.Take();
  const ProcessUsage nodes = UsageOf(bed_.pids());
  out.nodes = {.cpu_seconds = nodes.cpu_seconds - nodes_.cpu_seconds,
               .written_bytes = nodes.written_bytes - nodes_.written_bytes};
  out.client_cpu_seconds = UsageOfThisProcess().cpu_seconds - client_cpu_seconds_;
  out.bytes_taken_in = static_cast<double>(out.load.acknowledged) * bed_.source().bytes_mean();
  const auto stages = TakeStages(load_.stats(), bed_.remote(), kStatusLimit);
  if (stages_.has_value() && stages.has_value()) out.stages = StagesBetween(*stages_, *stages);
  return out;
}

MemoryWatch::MemoryWatch(BenchBed& bed) : bed_(bed) {
  for (const std::string& node : bed.cluster().node_names()) nodes_.push_back({.node = node});
  Look();
  for (NodeMemory& node : nodes_) node.before = node.after;
}

void MemoryWatch::Look() {
  const std::vector<NodeLevels> levels = bed_.cluster().levels();
  disk_mib_ = 0;
  for (size_t i = 0; i < nodes_.size() && i < levels.size(); ++i) {
    nodes_[i].after = levels[i][0];
    nodes_[i].largest = std::max(nodes_[i].largest, levels[i][0]);
    disk_mib_ += levels[i][3];
  }
}

}  // namespace forebay
