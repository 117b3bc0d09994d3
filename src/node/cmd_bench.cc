// forebay bench
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "node/bench_load.h"
#include "node/commands.h"
#include "node/exit_code.h"
#include "node/local_cluster.h"
#include "node/numbers.h"
#include "node/process_usage.h"
#include "node/shutdown_signal.h"
#include "node/stream_choice.h"
#include "runtime/log.h"
#include "runtime/real_clock.h"

namespace forebay {
namespace {

struct Asked {
  RemoteNodes nodes;
  bool self_contained = false;
  std::string stream;
  std::string input;
  uint64_t event_bytes = 400;
  double rate = 5000;
  std::string loop = "both";
  std::string directory;
  std::string json;
  std::vector<pid_t> pids;
  uint32_t partitions = 6;
  BenchLoadOptions load;
};

// One measurement, with what the nodes used for it if they run on this machine.
struct Measurement {
  std::string loop;
  double rate = 0;
  BenchLoadResult load;
  ProcessUsage nodes;
  double client_cpu_seconds = 0;
  double bytes_taken_in = 0;
};

class Bench {
 public:
  Bench(const Asked& asked, ShutdownSignal& signal) : asked_(asked), signal_(signal) {}
  ~Bench() {
    if (cluster_) cluster_->Stop();
    std::error_code ignored;
    if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
  }

  absl::Status Prepare() {
    load_ = asked_.load;
    pids_ = asked_.pids;
    absl::StatusOr<EventSource> source = asked_.input.empty() ? EventSource::MadeUp(PayloadBytes())
                                                              : EventSource::FromFile(asked_.input);
    if (!source.ok()) return source.status();
    source_ = *std::move(source);
    if (asked_.nodes.addresses.empty()) return StartCluster();
    RemoteCluster remote(asked_.nodes);
    const absl::StatusOr<StreamId> stream = ChooseStream(remote, asked_.stream);
    if (!stream.ok()) return stream.status();
    load_.nodes = asked_.nodes;
    load_.stream = *stream;
    return absl::OkStatus();
  }

  absl::StatusOr<Measurement> Measure(const std::string& loop) {
    Measurement out;
    out.loop = loop;
    load_.rate = out.rate = loop == "open" ? asked_.rate : 0;
    ProcessUsage nodes_before;
    double client_before = 0;
    const auto measuring = [&](bool begins) {
      const ProcessUsage nodes = UsageOf(pids_);
      const double client = UsageOfThisProcess().cpu_seconds;
      if (begins) {
        nodes_before = nodes;
        client_before = client;
        return;
      }
      out.nodes = {.cpu_seconds = nodes.cpu_seconds - nodes_before.cpu_seconds,
                   .written_bytes = nodes.written_bytes - nodes_before.written_bytes};
      out.client_cpu_seconds = client - client_before;
    };
    absl::StatusOr<BenchLoadResult> load = RunBenchLoad(
        load_, source_, clock_,
        {.measuring = measuring, .wait = [this](absl::Duration d) { return signal_.WaitFor(d); }});
    if (!load.ok()) return load.status();
    out.load = *std::move(load);
    out.bytes_taken_in = static_cast<double>(out.load.acknowledged) * source_.bytes_mean();
    return out;
  }

  double event_bytes() const { return source_.bytes_mean(); }

 private:
  // What the id, key, type and framing of a made-up event add.
  size_t PayloadBytes() const {
    constexpr uint64_t kAround = 70;
    return asked_.event_bytes > kAround ? asked_.event_bytes - kAround : 1;
  }

  absl::Status StartCluster() {
    std::error_code error;
    std::filesystem::path base = asked_.directory;
    if (base.empty()) base = std::filesystem::temp_directory_path(error);
    std::string made = (base / "forebay-bench-XXXXXX").string();
    if (error || ::mkdtemp(made.data()) == nullptr) {
      return absl::UnavailableError("cannot make a directory like " + made);
    }
    directory_ = made;
    StreamOptions stream;
    stream.name = StreamId("bench");
    stream.partitions = asked_.partitions;
    auto cluster = LocalCluster::Start({.directory = directory_,
                                        .zones = 3,
                                        .nodes_per_zone = 1,
                                        .etcd = false,
                                        .cuttable = false,
                                        .stream = stream,
                                        .sinks = {}});
    if (!cluster.ok()) return cluster.status();
    cluster_ = *std::move(cluster);
    pids_ = cluster_->node_pids();
    load_.nodes.addresses = cluster_->addresses();
    load_.stream = stream.name;
    return absl::OkStatus();
  }

  const Asked& asked_;
  ShutdownSignal& signal_;
  RealClock clock_;
  BenchLoadOptions load_;
  EventSource source_ = EventSource::MadeUp(0);
  std::string directory_;
  std::unique_ptr<LocalCluster> cluster_;
  std::vector<pid_t> pids_;
};

double Milliseconds(const Measurement& m, double share) {
  return absl::ToDoubleMilliseconds(m.load.latency.Quantile(share));
}

double PerMillion(const Measurement& m, double seconds) {
  return m.load.acknowledged == 0 ? 0 : seconds * 1e6 / static_cast<double>(m.load.acknowledged);
}

double WrittenPerByte(const Measurement& m) {
  return m.bytes_taken_in == 0 ? 0 : static_cast<double>(m.nodes.written_bytes) / m.bytes_taken_in;
}

double Throughput(const Measurement& m) {
  return static_cast<double>(m.load.acknowledged) / m.load.seconds;
}

void Print(const Measurement& m) {
  std::cout << absl::StrFormat(
      "%-6s loop %10s events/s %8.1f MB/s   p50 %7.2f ms  p99 %7.2f ms  p99.9 %7.2f ms  max %7.2f "
      "ms\n",
      m.loop, Grouped(static_cast<uint64_t>(Throughput(m))),
      m.bytes_taken_in / m.load.seconds / 1e6, Milliseconds(m, 0.5), Milliseconds(m, 0.99),
      Milliseconds(m, 0.999), absl::ToDoubleMilliseconds(m.load.latency.max()));
  if (m.nodes.cpu_seconds > 0) {
    std::cout << absl::StrFormat(
        "            nodes %.2f CPU s, clients %.2f CPU s per million events; %.2f bytes written "
        "by "
        "all nodes per byte taken in\n",
        PerMillion(m, m.nodes.cpu_seconds), PerMillion(m, m.client_cpu_seconds), WrittenPerByte(m));
  }
  if (m.load.failed > 0) {
    std::cout << "            FAILED appends: " << Grouped(m.load.failed)
              << ", the first: " << m.load.first_failure << "\n";
  }
  std::cout << std::flush;
}

nlohmann::ordered_json ToJson(const Measurement& m) {
  return {{"loop", m.loop},
          {"rate", m.rate},
          {"events_per_second", Throughput(m)},
          {"bytes_per_second", m.bytes_taken_in / m.load.seconds},
          {"acknowledged", m.load.acknowledged},
          {"failed", m.load.failed},
          {"seconds", m.load.seconds},
          {"p50_ms", Milliseconds(m, 0.5)},
          {"p99_ms", Milliseconds(m, 0.99)},
          {"p99_9_ms", Milliseconds(m, 0.999)},
          {"max_ms", absl::ToDoubleMilliseconds(m.load.latency.max())},
          {"node_cpu_seconds_per_million", PerMillion(m, m.nodes.cpu_seconds)},
          {"client_cpu_seconds_per_million", PerMillion(m, m.client_cpu_seconds)},
          {"bytes_written_per_byte", WrittenPerByte(m)}};
}

int Run(const Asked& asked) {
  SetUpLog(LogFormat::kHuman, LogLevel::kError, "bench");
  ShutdownSignal signal;
  Bench bench(asked, signal);
  const absl::Status prepared = bench.Prepare();
  if (!prepared.ok()) return Fail(prepared);
  nlohmann::ordered_json json = {{"event_bytes", bench.event_bytes()},
                                 {"producers", asked.load.producers},
                                 {"measurements", nlohmann::ordered_json::array()}};
  std::cout << absl::StrFormat(
      "events of %.0f bytes, %d producers, %s\n", bench.event_bytes(), asked.load.producers,
      asked.nodes.addresses.empty() ? "three nodes started here" : "running nodes");
  uint64_t failed = 0;
  for (const std::string loop : {"closed", "open"}) {
    if (asked.loop != "both" && asked.loop != loop) continue;
    const absl::StatusOr<Measurement> measured = bench.Measure(loop);
    if (!measured.ok()) return Fail(measured.status());
    Print(*measured);
    failed += measured->load.failed;
    json["measurements"].push_back(ToJson(*measured));
  }
  if (!asked.json.empty() && !(std::ofstream(asked.json) << json.dump(2) << "\n")) {
    return Fail(absl::UnavailableError("cannot write " + asked.json));
  }
  return failed == 0 ? kExitOk : kExitFailed;
}

}  // namespace

void AddBenchCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("bench", "Measure throughput and latency");
  auto asked = std::make_shared<Asked>();
  command->add_option("--nodes", asked->nodes.addresses, "Running nodes, as host:port,host:port")
      ->envname("FOREBAY_NODES")
      ->delimiter(',');
  command->add_flag("--self-contained", asked->self_contained,
                    "Start three nodes on this machine (the default without --nodes)");
  AddTlsOptions(*command, asked->nodes);
  command->add_option("--stream", asked->stream, "With --nodes (default: the only one there is)");
  command->add_option("--loop", asked->loop, "closed = as fast as it goes, open = at --rate, both")
      ->check(CLI::IsMember({"closed", "open", "both"}))
      ->capture_default_str();
  command->add_option("--rate", asked->rate, "Events a second of the open loop")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--input", asked->input, "Events, one JSON object a line (default: made up)")
      ->check(CLI::ExistingFile);
  command->add_option("--event-bytes", asked->event_bytes, "Size of a made-up event")
      ->check(CLI::Range(uint64_t{100}, uint64_t{1'000'000}))
      ->capture_default_str();
  command->add_option("--producers", asked->load.producers)
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command
      ->add_option("--in-flight", asked->load.in_flight,
                   "Events not acknowledged yet, of all producers, in the closed loop")
      ->capture_default_str();
  command->add_option("--partitions", asked->partitions, "Of the stream of nodes started here")
      ->capture_default_str();
  AddDurationOption(*command, "--warm-up", asked->load.warm_up, "Not measured");
  AddDurationOption(*command, "--time", asked->load.measured, "Measured, for each loop");
  command->add_option("--directory", asked->directory,
                      "Where nodes started here keep their data (default: the temporary folder)");
  command->add_option("--pids", asked->pids, "Running nodes of this machine, for CPU and disk")
      ->delimiter(',');
  command->add_option("--json", asked->json, "Write the results here");
  command->footer(
      "Latency counts from when an event was due (open loop) or appended (closed loop) until it "
      "was acknowledged: durable on two nodes in two zones. Nodes started here have no sinks.\n"
      "Exit codes: 0 done, 1 some appends failed, 2 wrong usage, 3 out of reach.\n"
      "Example: forebay bench --loop open --rate 5000 --event-bytes 400");
  command->callback([asked, &exit_code] {
    if (asked->self_contained) asked->nodes.addresses.clear();
    exit_code = Run(*asked);
  });
}

}  // namespace forebay
