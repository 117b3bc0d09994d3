#include "simulation/plan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/random.h"

namespace forebay {
namespace {

// 0 in some worlds, up to `most` in others.
double DrawChance(Random& random, double most) {
  if (random.Chance(0.4)) return 0;
  const double part = static_cast<double>(random.Below(1000)) / 1000;
  return most * part * part;
}

LinkFaults DrawLink(Random& random) {
  LinkFaults link;
  link.lose = DrawChance(random, 0.1);
  link.repeat = DrawChance(random, 0.1);
  link.reorder = DrawChance(random, 0.1);
  link.linger = DrawChance(random, 0.01);
  if (random.Chance(0.2)) link.delay_max = absl::Milliseconds(40);
  return link;
}

// Half of the worlds aim: they inject some of their faults when the protocol is in a certain state.
void DrawScript(Random& random, Plan& plan) {
  for (int i = 0; i < static_cast<int>(Fault::kCount); i++) {
    const bool apart =
        i == static_cast<int>(Fault::kRollingUpgrade) || i == static_cast<int>(Fault::kLie);
    if (apart || !random.Chance(0.3)) continue;
    plan.mix[static_cast<Fault>(i)] = random.Between(absl::Seconds(2), absl::Seconds(20));
  }
  plan.script.noise = {Noise::kLinks, Noise::kClientLinks, Noise::kMetadata, Noise::kSinks};
  const double aimed = random.Chance(0.5) ? 0.6 : 0;
  for (const auto& [fault, every] : plan.mix) {
    absl::Duration at;
    while ((at += random.Between(absl::ZeroDuration(), 2 * every)) < plan.faults_for) {
      FaultEvent event{absl::Trunc(at, absl::Milliseconds(1)), fault, {}, random.Next() >> 40};
      if (random.Chance(aimed)) {
        event.when =
            static_cast<ProtocolState>(random.Below(static_cast<uint64_t>(ProtocolState::kCount)));
      }
      plan.script.events.push_back(event);
    }
  }
  std::stable_sort(plan.script.events.begin(), plan.script.events.end(),
                   [](const FaultEvent& a, const FaultEvent& b) { return a.at < b.at; });
}

void Insert(const FaultEvent& event, Plan& plan) {
  std::vector<FaultEvent>& events = plan.script.events;
  events.insert(std::find_if(events.begin(), events.end(),
                             [&](const FaultEvent& other) { return other.at > event.at; }),
                event);
}

// In some worlds a client stores blocks with bodies that nobody can decode.
void DrawLies(Random random, Plan& plan) {
  if (!random.Chance(0.25)) return;
  plan.mix[Fault::kLie] = plan.faults_for;
  for (uint64_t lies = 1 + random.Below(3); lies > 0; lies--) {
    FaultEvent event{
        absl::Trunc(random.Between(absl::Seconds(1), plan.faults_for), absl::Milliseconds(1)),
        Fault::kLie,
        {},
        random.Next() >> 40};
    if (random.Chance(0.5)) {
      event.when =
          static_cast<ProtocolState>(random.Below(static_cast<uint64_t>(ProtocolState::kCount)));
    }
    Insert(event, plan);
  }
}

// Some worlds begin with the version before, and are upgraded in the middle of all that happens.
void DrawUpgrade(Random random, Plan& plan) {
  plan.previous_version = random.Chance(0.25);
  if (!plan.previous_version) return;
  FaultEvent event{
      absl::Trunc(random.Between(absl::Seconds(1), plan.faults_for / 2), absl::Milliseconds(1)),
      Fault::kRollingUpgrade,
      {},
      random.Next() >> 40};
  plan.mix[event.fault] = plan.faults_for;
  Insert(event, plan);
}

void DrawWorkload(Random& random, Plan& plan) {
  plan.producers = 1 + static_cast<int>(random.Below(3));
  plan.sinks = 1 + static_cast<int>(random.Chance(0.3));
  plan.stream.name = StreamId("s");
  plan.stream.partitions = 1 + static_cast<uint32_t>(random.Below(3));
  plan.stream.codec = Codec::kNone;
  if (random.Chance(0.1)) plan.stream.on_zone_shortfall = ZoneShortfall::kAcceptDegraded;
  plan.block_bytes_max = random.Chance(0.5) ? 1024 : 4096;
  plan.append_every = random.Between(absl::Milliseconds(5), absl::Milliseconds(100));
  if (random.Chance(0.3)) {
    plan.give_up_after = random.Between(absl::Milliseconds(200), absl::Seconds(5));
  }
  plan.pause = random.Chance(0.5) ? 0.01 : 0.0005;
  plan.keep_after_delivery = random.Chance(0.5) ? absl::ZeroDuration() : absl::Seconds(2);
}

}  // namespace

Plan DrawPlan(uint64_t seed) {
  Random random(seed * 2654435761u + 17);
  Plan plan;
  plan.nodes_per_zone = random.Chance(0.25) ? 2 : 1;
  plan.late_nodes = plan.nodes_per_zone - 1;
  DrawWorkload(random, plan);
  plan.faults_for = random.Between(absl::Seconds(10), absl::Seconds(40));
  plan.sync_min = absl::Microseconds(200);
  plan.sync_max = random.Chance(0.2) ? absl::Milliseconds(60) : absl::Milliseconds(4);
  if (random.Chance(0.5)) plan.segment.bytes_max = 4096 + random.Below(64 << 10);
  if (random.Chance(0.3)) plan.segment.short_of_zones_bytes_max = 4096 + random.Below(16 << 10);
  if (random.Chance(0.3)) {
    plan.segment.age_max = random.Between(absl::Seconds(2), absl::Seconds(20));
  }
  plan.liveness.replace_after = random.Chance(0.5) ? absl::Seconds(5) : absl::Minutes(5);
  plan.link = DrawLink(random);
  plan.client_link = DrawLink(random);
  plan.client_link.lose = DrawChance(random, 0.01);
  plan.metadata.delay_min = absl::Microseconds(200);
  plan.metadata.delay_max = absl::Milliseconds(random.Chance(0.2) ? 200 : 5);
  plan.metadata.watch_delay_max = absl::Milliseconds(random.Chance(0.2) ? 1000 : 20);
  plan.metadata.request_lost = DrawChance(random, 0.1);
  plan.metadata.reply_lost = DrawChance(random, 0.2);
  plan.metadata.late = DrawChance(random, 0.2);
  plan.sink.fails = DrawChance(random, 0.2);
  plan.sink.ambiguous = DrawChance(random, 0.2);
  plan.sink.poison = random.Chance(0.2) ? 0.01 : 0;
  DrawScript(random, plan);
  // With dice of their own, so that a seed's other faults stay what they were.
  DrawUpgrade(Random(seed * 2654435761u + 18), plan);
  DrawLies(Random(seed * 2654435761u + 19), plan);
  Random stray(seed * 2654435761u + 20);
  if (stray.Chance(0.7)) {
    plan.stray_every = stray.Between(absl::Milliseconds(10), absl::Milliseconds(300));
  }
  return plan;
}

void Replace(Plan& plan, FaultScript script) {
  const auto has = [&](Noise noise) { return script.noise.contains(noise); };
  if (!has(Noise::kLinks)) plan.link = LinkFaults();
  if (!has(Noise::kClientLinks)) plan.client_link = LinkFaults();
  if (!has(Noise::kMetadata)) plan.metadata = CalmPlan().metadata;
  // Which events are poison is no noise.
  if (!has(Noise::kSinks)) plan.sink.fails = plan.sink.ambiguous = 0;
  plan.script = std::move(script);
}

Plan CalmPlan() {
  Plan plan;
  plan.stream.name = StreamId("s");
  plan.stream.partitions = 1;
  plan.stream.codec = Codec::kNone;
  plan.append_every = absl::Milliseconds(5);
  plan.sync_min = absl::Microseconds(500);
  plan.sync_max = absl::Milliseconds(3);
  plan.metadata.delay_max = absl::Milliseconds(2);
  plan.metadata.watch_delay_max = absl::Milliseconds(10);
  return plan;
}

std::string Plan::ToString() const {
  std::string out = absl::StrCat(
      zones, " zones x ", nodes_per_zone, ", ", stream.partitions, " partitions, ", producers,
      " producers, ", sinks, " sinks, ",
      stream.on_zone_shortfall == ZoneShortfall::kReject ? "reject" : "degraded",
      previous_version ? ", of the version before" : "", ", faults for ",
      absl::FormatDuration(faults_for), ", links lose ", link.lose, " repeat ", link.repeat,
      " reorder ", link.reorder, " linger ", link.linger, ", metadata lost ", metadata.request_lost,
      "/", metadata.reply_lost, " late ", metadata.late, ", sinks fail ", sink.fails, " ambiguous ",
      sink.ambiguous, "; mix:");
  for (const auto& [fault, every] : mix) {
    absl::StrAppend(&out, " ", NameOf(fault), "/",
                    absl::FormatDuration(absl::Trunc(every, absl::Milliseconds(100))));
  }
  return out;
}

}  // namespace forebay
