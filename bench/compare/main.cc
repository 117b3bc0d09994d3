// One program per peer: makes what is published to, publishes, reads back. scripts/bench compare
// runs them; on standard output they say BEGIN and END of the measured time, and RESULT with JSON.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "compare/load.h"

namespace forebay::compare {
namespace {

struct Asked {
  PeerOptions peer;
  LoadOptions load;
  size_t event_bytes = 1024;
  double warm_up = 2, measured = 10, settle = 10;  // seconds
  std::string ids;
  std::vector<std::string> settings;
  int events = 1000;
};

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Of this process, in seconds.
struct CpuTime {
  double user = 0, all = 0;

  static CpuTime Taken() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return {.user = Seconds(usage.ru_utime),
            .all = Seconds(usage.ru_utime) + Seconds(usage.ru_stime)};
  }
};

int Fail(const absl::Status& status) {
  std::cerr << status << "\n";
  return 1;
}

void Say(const nlohmann::ordered_json& result) {
  std::cout << "RESULT " << result.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)
            << std::endl;
}

int Publish(const Asked& asked, Peer& peer) {
  const EventPool events(asked.event_bytes);
  CpuTime begin, end;
  const LoadResult result = RunLoad(asked.load, peer, events, [&](bool begins) {
    (begins ? begin : end) = CpuTime::Taken();
    std::cout << (begins ? "BEGIN" : "END") << std::endl;
  });
  const Tally& tally = result.tally;
  const auto milliseconds = [&](double share) {
    return absl::ToDoubleMilliseconds(tally.latency().Quantile(share));
  };
  Say({{"events", tally.acknowledged()},
       {"events_ever", tally.acknowledged_ever()},
       {"events_per_s", static_cast<double>(tally.acknowledged()) / asked.measured},
       {"p50_ms", milliseconds(0.5)},
       {"p99_ms", milliseconds(0.99)},
       {"p999_ms", milliseconds(0.999)},
       {"max_ms", absl::ToDoubleMilliseconds(tally.latency().max())},
       {"gap_ms", absl::ToDoubleMilliseconds(tally.longest_gap())},
       {"unanswered", tally.unanswered()},
       {"sent_again", result.sent_again},
       {"refused", result.refused},
       {"reconnects", result.reconnects},
       {"last_error", result.last_error},
       {"client_cpu_s", end.all - begin.all},
       {"client_user_s", end.user - begin.user}});
  if (asked.ids.empty()) return 0;
  std::ofstream out(asked.ids);
  for (const uint64_t id : result.acknowledged_ids) out << id << "\n";
  return out.flush() ? 0 : Fail(absl::UnavailableError("cannot write " + asked.ids));
}

int ReadBack(const Asked& asked, Peer& peer) {
  std::vector<uint64_t> ids;
  std::ifstream in(asked.ids);
  for (uint64_t id = 0; in >> id;) ids.push_back(id);
  Verdict verdict(std::move(ids));
  const absl::Status status = peer.ReadBack([&](std::string_view event) { verdict.Read(event); });
  if (!status.ok()) return Fail(status);
  const Verdict::Counts counts = verdict.counts();
  Say({{"acknowledged", counts.acknowledged},
       {"read", counts.read},
       {"lost", counts.lost},
       {"duplicates", counts.duplicates},
       {"foreign", counts.foreign}});
  return 0;
}

int SayLeader(Peer& peer) {
  const absl::StatusOr<std::string> leader = peer.Leader();
  if (!leader.ok()) return Fail(leader.status());
  std::cout << *leader << std::endl;
  return 0;
}

// Events as they are published, for a look at how they compress.
int Sample(const Asked& asked) {
  const EventPool events(asked.event_bytes);
  std::string event;
  for (int i = 0; i < asked.events; ++i) {
    events.Write({.publisher = 0, .number = static_cast<uint64_t>(i)}, event);
    std::cout << event;
  }
  return std::cout.flush() ? 0 : 1;
}

bool Complete(Asked& asked) {
  for (const std::string& setting : asked.settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos) return false;
    asked.peer.settings[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  asked.peer.open_loop = asked.load.rate > 0;
  asked.load.warm_up = absl::Seconds(asked.warm_up);
  asked.load.measured = absl::Seconds(asked.measured);
  asked.load.settle_limit = absl::Seconds(asked.settle);
  asked.load.keep_ids = !asked.ids.empty();
  return true;
}

int Main(int argc, char** argv) {
  Asked asked;
  CLI::App app("Publishes to one peer of scripts/bench compare");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--nodes", asked.peer.addresses, "host:port,host:port")->delimiter(',');
  app.add_option("--name", asked.peer.name, "Of the stream, topic or queue");
  app.add_option("--set", asked.settings, "A setting of the peer, key=value");
  app.add_option("--event-bytes", asked.event_bytes)->check(CLI::Range(150, 1'000'000));
  app.add_option("--ids", asked.ids, "File of the ids that were acknowledged");
  CLI::App* create = app.add_subcommand("create", "Make what is published to");
  CLI::App* leader = app.add_subcommand("leader", "Say which node takes the events");
  CLI::App* publish = app.add_subcommand("publish", "Publish and measure");
  publish->add_option("--publishers", asked.load.publishers)->check(CLI::Range(1, 256));
  publish->add_option("--in-flight", asked.load.in_flight, "Of each publisher");
  publish->add_option("--rate", asked.load.rate, "Events a second, open loop; 0: closed loop");
  publish->add_option("--warm-up", asked.warm_up, "Seconds");
  publish->add_option("--seconds", asked.measured);
  publish->add_option("--settle", asked.settle, "Seconds to wait for answers at the end");
  publish->add_option("--patience", asked.load.patience, "Times the usual limit of an answer");
  app.add_subcommand("read", "Count what is stored against --ids");
  CLI::App* sample = app.add_subcommand("sample", "Write events to standard output");
  sample->add_option("--events", asked.events);
  CLI11_PARSE(app, argc, argv);
  if (!Complete(asked)) return Fail(absl::InvalidArgumentError("--set needs key=value"));
  if (sample->parsed()) return Sample(asked);
  const std::unique_ptr<Peer> peer = MakePeer(asked.peer);
  if (publish->parsed()) return Publish(asked, *peer);
  if (leader->parsed()) return SayLeader(*peer);
  if (!create->parsed()) return ReadBack(asked, *peer);
  const absl::Status created = peer->Create();
  return created.ok() ? 0 : Fail(created);
}

}  // namespace
}  // namespace forebay::compare

int main(int argc, char** argv) { return forebay::compare::Main(argc, argv); }
