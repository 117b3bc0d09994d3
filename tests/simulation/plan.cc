#include "simulation/plan.h"

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

void DrawFaults(Random& random, Plan& plan) {
  for (int i = 0; i < static_cast<int>(Fault::kCount); i++) {
    if (!random.Chance(0.4)) continue;
    plan.faults[static_cast<Fault>(i)] = random.Between(absl::Seconds(2), absl::Seconds(20));
  }
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

const char* NameOf(Fault fault) {
  switch (fault) {
    case Fault::kKill:
      return "kill";
    case Fault::kFreeze:
      return "freeze";
    case Fault::kPowerCut:
      return "power-cut";
    case Fault::kZoneDown:
      return "zone-down";
    case Fault::kWipe:
      return "wipe";
    case Fault::kTornLog:
      return "torn-log";
    case Fault::kDamage:
      return "damage";
    case Fault::kFailSync:
      return "fail-sync";
    case Fault::kStop:
      return "stop";
    case Fault::kIsolate:
      return "isolate";
    case Fault::kCutLink:
      return "cut-link";
    case Fault::kFlap:
      return "flap";
    case Fault::kClientCut:
      return "client-cut";
    case Fault::kClientCrash:
      return "client-crash";
    case Fault::kMetadataNode:
      return "metadata-node";
    case Fault::kMetadataAll:
      return "metadata-all";
    case Fault::kStallDisk:
      return "stall-disk";
    case Fault::kSinkDown:
      return "sink-down";
    case Fault::kTakeOver:
      return "take-over";
    case Fault::kHandOver:
      return "hand-over";
    case Fault::kRace:
      return "race";
    case Fault::kCount:
      break;
  }
  return "?";
}

Plan DrawPlan(uint64_t seed) {
  Random random(seed * 2654435761u + 17);
  Plan plan;
  plan.nodes_per_zone = random.Chance(0.2) ? 2 : 1;
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
  DrawFaults(random, plan);
  return plan;
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
      stream.on_zone_shortfall == ZoneShortfall::kReject ? "reject" : "degraded", ", faults for ",
      absl::FormatDuration(faults_for), ", links lose ", link.lose, " repeat ", link.repeat,
      " reorder ", link.reorder, " linger ", link.linger, "; faults:");
  for (const auto& [fault, every] : faults) {
    absl::StrAppend(&out, " ", NameOf(fault), "/", absl::FormatDuration(every));
  }
  return out;
}

}  // namespace forebay
