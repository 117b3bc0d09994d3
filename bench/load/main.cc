// The program `forebay-bench`, which `forebay bench` runs.
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/units.h"
#include "cli/command_options.h"
#include "drill/drill_progress.h"
#include "load/bench_phases.h"
#include "load/bench_report.h"
#include "node/exit_code.h"
#include "runtime/log.h"

namespace forebay {
namespace {

constexpr char kFooter[] =
    "Phases, in this order:\n"
    "  closed: as fast as it goes, --in-flight events not acknowledged yet.\n"
    "  open: --rate events a second, whatever the answers.\n"
    "  backlog: the sink takes nothing; as fast as it goes, until --backlog bytes of events wait.\n"
    "  catch-up: the sink is back: how fast it gets what waits, and what live traffic of --rate\n"
    "    events a second notices. After backlog.\n"
    "  failover: at --rate, each of --faults is done to the node that owns most partitions; "
    "restart\n"
    "    asks all nodes to stop and starts them again, one after the other.\n"
    "Backlog, catch-up and failover run on nodes that the bench starts. Closed and open share "
    "theirs,\n"
    "which have no sink; so do backlog and catch-up; failover has its own.\n"
    "Latency counts from when an event was due (at a rate) or appended (closed) until it was "
    "acknowledged: durable on two nodes in two zones.\n"
    "Exit codes: 0 done, 1 some appends failed, the sink did not catch up or a copy did not come "
    "back, 2 wrong usage, 3 out of reach.\n"
    "Example: forebay bench --phases open --rate 5000 --event-bytes 400\n"
    "Example: forebay bench --event-bytes 200:70,1KiB:25,16KiB:5 --keys 100000 --key-skew 1\n"
    "Example: forebay bench --phases backlog,catch-up --backlog 1GiB --rate 2000 --json "
    "backlog.json\n"
    "Example: forebay bench --phases failover --faults kill,restart --partitions 12\n"
    "Example: forebay bench --nodes 10.0.0.1:7400 --stream web --producers 16 --time 60s";

struct Asked {
  BenchOptions options;
  bool self_contained = false;
  std::string metadata = "sqlite";
  std::string json;
};

// Runs one phase after the other, each on the nodes it needs.
class Bench {
 public:
  Bench(const BenchOptions& options, ShutdownSignal& signal, DrillWatcher& watcher)
      : options_(options), bed_(options, signal, watcher) {}

  absl::Status Prepare() { return bed_.Prepare(); }
  double event_bytes_mean() const { return bed_.source().bytes_mean(); }

  absl::StatusOr<PhaseResult> Run(BenchPhase phase) {
    absl::StatusOr<PhaseResult> result = RunOnNodes(phase);
    const absl::Status& status = result.status();
    if (status.ok() || absl::IsCancelled(status) || absl::IsInvalidArgument(status)) return result;
    const std::string kept = bed_.Keep();
    if (kept.empty()) return result.status();
    return absl::Status(result.status().code(),
                        absl::StrCat("phase ", NameOf(phase), ": ", result.status().message(),
                                     "; data and logs are kept in ", kept));
  }

 private:
  absl::StatusOr<PhaseResult> RunOnNodes(BenchPhase phase) {
    PhaseResult result{.phase = phase};
    absl::Status status = StartNodesFor(phase);
    if (!status.ok()) return status;
    const auto keep = [&](auto measured, auto& into) {
      status = measured.status();
      if (status.ok()) into = *std::move(measured);
    };
    switch (phase) {
      case BenchPhase::kClosed:
      case BenchPhase::kOpen:
        keep(RunSteadyPhase(bed_, phase), result.load);
        break;
      case BenchPhase::kBacklog:
        backlog_ = std::make_unique<BacklogPhases>(bed_);
        keep(backlog_->Fill(), result.backlog);
        if (!options_.Has(BenchPhase::kCatchUp)) backlog_.reset();
        break;
      case BenchPhase::kCatchUp:
        keep(backlog_->CatchUp(), result.catch_up);
        backlog_.reset();
        break;
      case BenchPhase::kFailover:
        keep(RunFailoverPhase(bed_), result.failover);
        break;
    }
    if (!status.ok()) return status;
    return result;
  }

  // Phases that share nodes follow on each other.
  absl::Status StartNodesFor(BenchPhase phase) {
    const bool on_the_same = phase == BenchPhase::kCatchUp ||
                             (phase == BenchPhase::kOpen && options_.Has(BenchPhase::kClosed));
    if (on_the_same) return absl::OkStatus();
    bool cut = false;
    for (const BenchFault fault : options_.faults) cut |= fault == BenchFault::kCut;
    return bed_.StartNodes(/*with_sink=*/phase == BenchPhase::kBacklog,
                           /*cuttable=*/phase == BenchPhase::kFailover && cut);
  }

  const BenchOptions& options_;
  BenchBed bed_;
  std::unique_ptr<BacklogPhases> backlog_;
};

int Run(const Asked& asked) {
  const BenchOptions& options = asked.options;
  const absl::Status checked = Check(options);
  if (!checked.ok()) return Fail(checked);
  SetUpLog(LogFormat::kHuman, LogLevel::kError, "bench");
  ShutdownSignal signal;
  DrillProgress progress(::isatty(2) == 1, absl::Seconds(10));
  Bench bench(options, signal, progress);
  const absl::Status prepared = bench.Prepare();
  if (!prepared.ok()) return Fail(prepared);
  std::cout << BenchHead(options, bench.event_bytes_mean()) << std::flush;
  std::vector<PhaseResult> results;
  bool passed = true;
  for (const BenchPhase phase : options.phases) {
    absl::StatusOr<PhaseResult> result = bench.Run(phase);
    progress.Pause();
    if (!result.ok()) return Fail(result.status());
    std::cout << BenchText(*result) << std::flush;
    passed = passed && result->Passed();
    results.push_back(*std::move(result));
  }
  const std::string json = BenchJson(options, bench.event_bytes_mean(), results);
  if (!asked.json.empty() && !(std::ofstream(asked.json) << json << std::flush)) {
    return Fail(absl::UnavailableError("cannot write " + asked.json));
  }
  return passed ? kExitOk : kExitFailed;
}

// An option whose text is parsed; what is wrong with it is said by `parse`.
template <typename Parse, typename Into>
CLI::Option* AddParsed(CLI::App& command, const std::string& name, Parse parse, Into& into,
                       const std::string& meaning) {
  return command.add_option_function<std::string>(
      name,
      [&into, name, parse](const std::string& text) {
        auto parsed = parse(text);
        if (!parsed.ok()) throw CLI::ValidationError(name, std::string(parsed.status().message()));
        into = *std::move(parsed);
      },
      meaning);
}

void AddClusterOptions(CLI::App& command, Asked& asked) {
  BenchOptions& options = asked.options;
  command.add_option("--nodes", options.nodes.addresses, "Running nodes, as host:port,host:port")
      ->envname("FOREBAY_NODES")
      ->delimiter(',');
  command.add_flag("--self-contained", asked.self_contained,
                   "Start three nodes on this machine (the default without --nodes)");
  AddTlsOptions(command, options.nodes);
  command.add_option("--stream", options.stream, "With --nodes (default: the only one there is)");
  command.add_option("--pids", options.pids, "Running nodes of this machine, for CPU and disk")
      ->delimiter(',');
  command.add_option("--partitions", options.partitions, "Of the stream of nodes started here")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command
      .add_option("--metadata", asked.metadata,
                  "Of nodes started here: sqlite, or etcd with a member in each zone")
      ->check(CLI::IsMember({"sqlite", "etcd"}))
      ->capture_default_str();
  command.add_option("--directory", options.directory,
                     "Where nodes started here keep their data (default: the temporary folder)");
}

void AddEventOptions(CLI::App& command, BenchOptions& options) {
  command.add_option("--input", options.input, "Events, one JSON object a line (default: made up)")
      ->check(CLI::ExistingFile);
  AddParsed(command, "--event-bytes", ParseSizeMix, options.events.sizes,
            "Size of made-up events, or sizes with how many of them there are: "
            "200:70,1KiB:25,16KiB:5")
      ->default_str("400")
      ->type_name("SIZE[:WEIGHT],...");
  command
      .add_option("--keys", options.events.keys,
                  "Different keys of made-up events, 0: none, so that the producer chooses the "
                  "partition (default: about 2,000, as visitors of a site)")
      ->check(CLI::Range(0, 10'000'000));
  command
      .add_option("--key-skew", options.events.key_skew,
                  "Zipf: 0 all keys equally often, 1 as words of a language")
      ->check(CLI::Range(0.0, 10.0))
      ->capture_default_str();
  command.add_flag("--incompressible", options.events.incompressible,
                   "Made-up events are of random bytes (default: JSON that shrinks)");
}

void AddLoadOptions(CLI::App& command, BenchOptions& options) {
  AddParsed(command, "--phases", ParsePhases, options.phases, "What to measure; see below")
      ->default_str("closed,open")
      ->type_name("PHASE,...");
  // The shorter name of the first two.
  const auto loop_phases = [](const std::string& loop) {
    return ParsePhases(loop == "both" ? "closed,open" : loop);
  };
  AddParsed(command, "--loop", loop_phases, options.phases, "As --phases closed, open, or both")
      ->check(CLI::IsMember({"closed", "open", "both"}))
      ->excludes("--phases");
  AddParsed(command, "--faults", ParseFaults, options.faults, "Of the phase failover")
      ->default_str("kill,freeze,cut,restart")
      ->type_name("FAULT,...");
  command.add_option("--rate", options.rate, "Events a second where the load has a rate")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--producers", options.producers, "Clients, each with connections of its own")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command
      .add_option("--in-flight", options.in_flight,
                  "Events not acknowledged yet, of all producers, without a rate")
      ->check(CLI::Range(uint64_t{1}, uint64_t{100'000'000}))
      ->default_str("20000, at most 128 MiB");
  AddDurationOption(command, "--warm-up", options.warm_up, "Not measured");
  AddDurationOption(command, "--time", options.measured,
                    "Measured, for each load; in catch-up before the sink is back");
  AddParsed(command, "--backlog", ParseSizeText, options.backlog_bytes,
            "Of events, before compression")
      ->default_str("256MiB")
      ->type_name("SIZE");
  command
      .add_option(
          "--sink", options.sink,
          "Of backlog and catch-up: sqlite (a file beside the nodes' data, which competes with "
          "their logs) or sqlite:FILE")
      ->capture_default_str();
}

// Options that are of no use together with others, as their user would not know otherwise.
void CheckTogether(const CLI::App& command, const BenchOptions& options) {
  const auto refuse = [&](const char* name, bool useless, const std::string& why) {
    if (useless && command.get_option(name)->count() > 0) throw CLI::ValidationError(name, why);
  };
  const bool file = !options.input.empty();
  for (const char* name : {"--event-bytes", "--keys", "--key-skew", "--incompressible"}) {
    refuse(name, file,
           "is about made-up events, and those of --input are as they are: leave one "
           "of the two out");
  }
  for (const char* name : {"--partitions", "--metadata", "--directory"}) {
    refuse(name, !options.own_nodes(),
           "is about nodes that the bench starts, and --nodes are running already: leave it out");
  }
  for (const char* name : {"--stream", "--pids"}) {
    refuse(name, options.own_nodes(),
           "is about running nodes: give their addresses with --nodes, or leave it out");
  }
  refuse("--faults", !options.Has(BenchPhase::kFailover),
         "nothing is broken without the phase failover: add --phases failover");
  for (const char* name : {"--backlog", "--sink"}) {
    refuse(name, !options.Has(BenchPhase::kBacklog),
           "nothing is held up without the phase backlog: add --phases backlog,catch-up");
  }
}

void AddOptions(CLI::App& command, int& exit_code) {
  auto asked = std::make_shared<Asked>();
  AddClusterOptions(command, *asked);
  AddEventOptions(command, asked->options);
  AddLoadOptions(command, asked->options);
  command.add_option("--json", asked->json, "Write the results here");
  command.footer(kFooter);
  command.callback([asked, &command, &exit_code] {
    if (asked->self_contained) asked->options.nodes.addresses.clear();
    asked->options.etcd = asked->metadata == "etcd";
    CheckTogether(command, asked->options);
    exit_code = Run(*asked);
  });
}

int Main(int argc, char** argv) {
  CLI::App app{"Measure throughput, latency and where it goes, a backlog, and failovers"};
  app.name("forebay bench");
  int exit_code = kExitOk;
  AddOptions(app, exit_code);
  return RunCommandLine(app, argc, argv, exit_code);
}

}  // namespace
}  // namespace forebay

int main(int argc, char** argv) { return forebay::Main(argc, argv); }
