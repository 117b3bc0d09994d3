// The program `forebay-drill`, which `forebay drill` runs.
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/command_options.h"
#include "drill/drill.h"
#include "drill/drill_report.h"
#include "drill/drill_timeline.h"
#include "drill/round_kind.h"
#include "node/exit_code.h"
#include "runtime/log.h"
#include "runtime/random.h"

namespace forebay {
namespace {

struct Asked {
  DrillOptions options;
  std::string fault = "kill";
  std::string metadata = "sqlite";
  std::string json;
  bool chaos = false;
  double minutes = 1;
  std::string rounds;
  int times = 20;
  std::optional<uint64_t> seed;
  std::string timeline;
};

// Events a second of chaos and rounds, unless given: a minute's picture is busy, and half an hour
// fits into memory.
constexpr double kLongRate = 1000;

constexpr char kFooter[] =
    "Starts real node processes in a temporary directory, sends events from several producers at a "
    "steady rate, breaks a zone half-way, heals it, waits until everything is delivered and "
    "fully replicated again, and compares what was sent, acknowledged and delivered.\n\n"
    "Faults: kill = SIGKILL, started again after 3 s. freeze = SIGSTOP for 10 s, then the old "
    "owner "
    "is back. cut = nothing passes between the zone and the others for 6 s, though clients reach "
    "all of them (as root in network namespaces, else by a proxy; --chaos and --rounds too); with "
    "--metadata sqlite the metadata file stays within reach, as there is one machine; with etcd "
    "the zone's member is cut off too.\n"
    "Sinks: sqlite, sqlite:FILE, postgres (a server of the drill's own), "
    "postgres://user@host/database, files:DIRECTORY.\n\n"
    "--chaos draws fault after fault from a seed instead, some of them overlapping, as far as the "
    "promise allows: never more than one zone is broken at a time, except that all nodes may lose "
    "power at once. It kills, freezes and restarts nodes, cuts zones off (both ways, one way, on "
    "and off), kills etcd members (--metadata etcd), breaks the sink (sqlite: locked; postgres: a "
    "server of its own, crashed in the middle of commits) and, as root with loop devices, cuts "
    "nodes' power, which loses what was not synced, and fills their disks. What cannot be done "
    "here is left out, and said. The same seed gives the same faults at the same times.";

constexpr char kExamples[] =
    "\nExit codes: 0 nothing lost, duplicated or out of order; 1 something was, or not every event "
    "was acknowledged, or not every copy was back in time; 2 wrong usage; 3 something did not "
    "start.\n"
    "Example: forebay drill --fault freeze --events 20000 --metadata etcd --json drill.json\n"
    "Example: forebay drill --chaos --minutes 5 --seed 7 --sink postgres --timeline drill.svg\n"
    "Example: forebay drill --rounds power-cut --times 20 --metadata etcd --json power-cut.json";

Fault FaultOf(const std::string& name) {
  for (const Fault fault : {Fault::kKill, Fault::kFreeze, Fault::kCut}) {
    if (name == NameOf(fault)) return fault;
  }
  return Fault::kNone;
}

// Short enough to type.
uint64_t SeedOf(const Asked& asked) {
  return asked.seed.value_or(Random::FromSystem().Below(1'000'000));
}

void PlanRounds(Asked& asked) {
  DrillOptions& options = asked.options;
  options.rounds = RoundsOptions{.kind = asked.rounds, .times = asked.times, .seed = SeedOf(asked)};
  options.fault = Fault::kNone;
  if (options.rate <= 0) options.rate = kLongRate;
  options.events = 0;
}

// How long, which seed, and how many events that makes.
void PlanChaosOptions(Asked& asked) {
  ChaosOptions chaos;
  chaos.length = absl::Minutes(asked.minutes);
  chaos.seed = SeedOf(asked);
  DrillOptions& options = asked.options;
  options.chaos = chaos;
  options.fault = Fault::kNone;
  if (options.rate <= 0) options.rate = kLongRate;
  options.events = std::max<uint64_t>(1, static_cast<uint64_t>(options.rate * 60 * asked.minutes));
}

bool Write(const std::string& path, const std::string& text) {
  return path.empty() || static_cast<bool>(std::ofstream(path) << text << std::flush);
}

int Run(const Asked& asked) {
  const DrillOptions& options = asked.options;
  if (options.target != kMostOwners && (options.target.size() != 1 || options.target[0] < 'a' ||
                                        options.target[0] >= 'a' + options.zones)) {
    return Fail(absl::InvalidArgumentError(
        absl::StrCat("--target must be ", kMostOwners, " or one of the zones a to ",
                     std::string(1, static_cast<char>('a' + options.zones - 1)))));
  }
  // The clients in this process retry by design; that is not news during a drill.
  SetUpLog(LogFormat::kHuman, LogLevel::kError, "drill");
  ShutdownSignal signal;
  absl::StatusOr<DrillReport> report;
  {
    DrillProgress progress(::isatty(2) == 1,
                           absl::Seconds(asked.chaos || !asked.rounds.empty() ? 10 : 1));
    report = RunDrill(options, signal, progress);
  }
  if (!report.ok()) return Fail(report.status());
  std::cout << DrillTable(options, *report) << std::flush;
  if (!Write(asked.json, DrillJson(options, *report))) {
    return Fail(absl::UnavailableError("cannot write " + asked.json));
  }
  if (!asked.timeline.empty() && !Write(asked.timeline, DrillTimeline(options, *report))) {
    return Fail(absl::UnavailableError("cannot write " + asked.timeline));
  }
  return report->Passed() ? kExitOk : kExitFailed;
}

void AddChaosOptions(CLI::App& command, Asked& asked) {
  auto* const chaos =
      command.add_flag("--chaos", asked.chaos, "Fault after fault instead of one; see below");
  for (const char* other : {"--fault", "--target", "--events"}) {
    chaos->excludes(command.get_option(other));
  }
  command.add_option("--minutes", asked.minutes, "Of a chaos drill")
      ->check(CLI::Range(0.2, 24 * 60.0))
      ->needs(chaos)
      ->capture_default_str();
  command
      .add_option("--timeline", asked.timeline,
                  "Write a picture (SVG) of a chaos drill here: faults, rate, lag, copies")
      ->needs(chaos);
}

std::string RoundKindsText() {
  std::string text =
      "\n\n--rounds repeats one kind of fault under load. Each round waits until "
      "every copy is there again. Kinds:\n";
  for (const RoundKind& kind : RoundKinds()) {
    absl::StrAppend(&text, "  ", kind.name, ": ", kind.meaning, ".\n");
  }
  return text;
}

void AddRoundsOptions(CLI::App& command, Asked& asked) {
  std::vector<std::string> names;
  for (const RoundKind& kind : RoundKinds()) names.push_back(kind.name);
  auto* const rounds = command
                           .add_option("--rounds", asked.rounds,
                                       "One kind of fault again and again, " +
                                           absl::StrJoin(names, " or ") + "; see below")
                           ->check(CLI::IsMember(names));
  command.add_option("--times", asked.times, "How many rounds")
      ->check(CLI::Range(1, 10'000))
      ->needs(rounds)
      ->capture_default_str();
}

// Options that do not go together, beyond what they say about each other themselves.
void CheckTogether(const CLI::App& command, const Asked& asked) {
  if (asked.seed.has_value() && !asked.chaos && asked.rounds.empty()) {
    throw CLI::ValidationError("--seed", "nothing is drawn without --chaos or --rounds KIND");
  }
  if (asked.rounds.empty()) return;
  const auto given = [&](const char* name) { return command.get_option(name)->count() > 0; };
  if (asked.chaos) {
    throw CLI::ValidationError("--rounds",
                               "it is a drill of its own, and so is --chaos: give one of them");
  }
  if (given("--events")) {
    throw CLI::ValidationError("--events",
                               "rounds send until the last one is over: leave it out, and say how "
                               "many a second with --rate");
  }
  for (const char* other : {"--fault", "--target"}) {
    if (!given(other)) continue;
    throw CLI::ValidationError(other, absl::StrCat("the rounds of ", asked.rounds,
                                                   " choose what they break: leave it out"));
  }
}

void AddOptions(CLI::App& command, int& exit_code) {
  auto asked = std::make_shared<Asked>();
  DrillOptions& options = asked->options;
  command.add_option("--zones", options.zones, "Availability zones, named a, b, c, ...")
      ->check(CLI::Range(1, 9))
      ->capture_default_str();
  command.add_option("--nodes-per-zone", options.nodes_per_zone)
      ->check(CLI::Range(1, 9))
      ->capture_default_str();
  command.add_option("--partitions", options.partitions)
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command.add_option("--producers", options.producers)
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command.add_option("--input", options.input, "Events, one JSON object a line (default: made up)")
      ->check(CLI::ExistingFile);
  command.add_option("--events", options.events, "How many; the input is repeated with new ids")
      ->check(CLI::Range(uint64_t{1}, uint64_t{100'000'000}))
      ->capture_default_str();
  command.add_option("--rate", options.rate, "Events a second (default: takes about 16 s)")
      ->check(CLI::PositiveNumber);
  command.add_option("--fault", asked->fault, "What to do to the zone")
      ->check(CLI::IsMember({"kill", "freeze", "cut", "none"}))
      ->capture_default_str();
  command.add_option("--target", options.target, "The zone to break")->capture_default_str();
  command.add_option("--sink", options.sink, "Where the events go")->capture_default_str();
  command.add_option("--metadata", asked->metadata, "sqlite, or etcd with a member in each zone")
      ->check(CLI::IsMember({"sqlite", "etcd"}))
      ->capture_default_str();
  command.add_flag(
      "--tls", options.tls,
      "Mutual TLS between nodes and for producers, with certificates made for it (needs "
      "the openssl command)");
  command.add_option("--json", asked->json, "Write the result here");
  command.add_flag("--keep", options.keep, "Keep the directory also when all went well");
  AddChaosOptions(command, *asked);
  AddRoundsOptions(command, *asked);
  command.add_option("--seed", asked->seed,
                     "Of --chaos and --rounds (default: drawn, and printed)");
  command.footer(std::string(kFooter) + RoundKindsText() + kExamples);
  command.callback([asked, &command, &exit_code] {
    CheckTogether(command, *asked);
    asked->options.fault = FaultOf(asked->fault);
    if (asked->chaos) PlanChaosOptions(*asked);
    if (!asked->rounds.empty()) PlanRounds(*asked);
    asked->options.etcd = asked->metadata == "etcd";
    exit_code = Run(*asked);
  });
}

int Main(int argc, char** argv) {
  CLI::App app{"Break a zone under real traffic and see that nothing is lost"};
  app.name("forebay drill");
  int exit_code = kExitOk;
  AddOptions(app, exit_code);
  return RunCommandLine(app, argc, argv, exit_code);
}

}  // namespace
}  // namespace forebay

int main(int argc, char** argv) { return forebay::Main(argc, argv); }
