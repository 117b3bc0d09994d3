#include "drill/chaos_plan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "runtime/random.h"

namespace forebay {
namespace {

struct Range {
  absl::Duration from;
  absl::Duration to;
};

// Held long enough to be noticed (a silent node is suspect after 1 s) and, now and then, for so
// short that it is not.
Range HoldOf(ChaosKind kind) {
  switch (kind) {
    case ChaosKind::kKill:
    case ChaosKind::kPowerCut:
    case ChaosKind::kPowerCutAll:
      return {absl::Milliseconds(300), absl::Seconds(5)};
    case ChaosKind::kFreeze:
      return {absl::Milliseconds(500), absl::Seconds(10)};
    case ChaosKind::kCut:
    case ChaosKind::kCutOut:
    case ChaosKind::kCutIn:
    case ChaosKind::kKillEtcd:
    case ChaosKind::kClockJump:
      return {absl::Milliseconds(500), absl::Seconds(8)};
    case ChaosKind::kFlap:
    case ChaosKind::kDiskFull:
      return {absl::Seconds(4), absl::Seconds(12)};
    case ChaosKind::kBreakSink:
      return {absl::Milliseconds(200), absl::Seconds(10)};
    case ChaosKind::kRestartAll:
      break;
  }
  // A node: it hands over, ends, comes back and gets what it missed.
  return {absl::Seconds(7), absl::Seconds(7)};
}

bool OfANode(ChaosKind kind) {
  return kind == ChaosKind::kKill || kind == ChaosKind::kFreeze || kind == ChaosKind::kPowerCut ||
         kind == ChaosKind::kDiskFull || kind == ChaosKind::kClockJump;
}
bool OfANetwork(ChaosKind kind) {
  return kind == ChaosKind::kCut || kind == ChaosKind::kCutOut || kind == ChaosKind::kCutIn ||
         kind == ChaosKind::kFlap;
}

std::vector<ChaosKind> KindsOf(const ChaosScope& scope) {
  std::vector<ChaosKind> kinds = {ChaosKind::kKill, ChaosKind::kFreeze, ChaosKind::kRestartAll};
  if (scope.zones > 1) {
    kinds.insert(kinds.end(),
                 {ChaosKind::kCut, ChaosKind::kCutOut, ChaosKind::kCutIn, ChaosKind::kFlap});
  }
  if (scope.disks) {
    kinds.insert(kinds.end(),
                 {ChaosKind::kPowerCut, ChaosKind::kPowerCutAll, ChaosKind::kDiskFull});
  }
  if (scope.clocks) kinds.push_back(ChaosKind::kClockJump);
  if (scope.etcd) kinds.push_back(ChaosKind::kKillEtcd);
  return kinds;
}

// Faults that were drawn and would have ended too late, before the plan is full.
constexpr int kMissesMax = 8;

class Planner {
 public:
  Planner(const ChaosScope& scope, uint64_t seed)
      : scope_(scope), random_(seed), end_(scope.length - absl::Seconds(2)) {}

  std::vector<ChaosFault> Run() {
    PlanCluster();
    if (scope_.sink) PlanSink();
    std::stable_sort(plan_.begin(), plan_.end(),
                     [](const auto& a, const auto& b) { return a.start < b.start; });
    return std::move(plan_);
  }

 private:
  // One after the other, sometimes with a second one inside.
  void PlanCluster() {
    const std::vector<ChaosKind> kinds = KindsOf(scope_);
    std::vector<ChaosKind> bag;  // so that every kind has its turn
    absl::Duration at = Pause();
    for (int misses = 0; misses < kMissesMax;) {
      if (bag.empty()) bag = kinds;
      const size_t drawn = random_.Below(bag.size());
      ChaosFault fault = Draw(bag[drawn], at);
      bag.erase(bag.begin() + static_cast<std::ptrdiff_t>(drawn));
      if (fault.end() > end_) {
        ++misses;
        continue;
      }
      plan_.push_back(fault);
      if (random_.Chance(0.3)) PlanInside(fault, kinds);
      at = fault.end() + Pause();
    }
  }

  // A second fault that begins and ends during `outer`, if the first draw may overlap.
  void PlanInside(const ChaosFault& outer, const std::vector<ChaosKind>& kinds) {
    ChaosFault inner =
        Draw(kinds[random_.Below(kinds.size())],
             Trunc(outer.start + random_.Between(absl::ZeroDuration(), outer.hold / 2)));
    if (inner.zone.empty()) return;
    Aim(inner, outer.zone);
    inner.hold = std::min(inner.hold, outer.end() - inner.start);
    if (MayOverlap(outer, inner)) plan_.push_back(std::move(inner));
  }

  void PlanSink() {
    // A drain that was refused comes back after up to 10 s; most of the time it should have.
    const auto pause = [this] { return Pause() + Pause() + Pause(); };
    for (absl::Duration at = pause();; at += pause()) {
      const ChaosFault fault = Draw(ChaosKind::kBreakSink, at);
      if (fault.end() > end_) return;
      plan_.push_back(fault);
      at = fault.end();
    }
  }

  ChaosFault Draw(ChaosKind kind, absl::Duration start) {
    ChaosFault fault{.kind = kind, .target = "all", .zone = {}, .start = start, .hold = Hold(kind)};
    const std::string zone(1, static_cast<char>('a' + random_.Below(scope_.zones)));
    if (kind == ChaosKind::kBreakSink) fault.target = "sink";
    if (kind == ChaosKind::kFlap) {
      fault.flap_every = Trunc(random_.Between(absl::Milliseconds(100), absl::Milliseconds(1'500)));
    }
    if (kind == ChaosKind::kClockJump) {
      fault.off_then = Off();
      fault.off_after = random_.Chance(0.5) ? absl::ZeroDuration() : Off();
    }
    if (OfANode(kind) || OfANetwork(kind) || kind == ChaosKind::kKillEtcd) {
      Aim(fault, ZoneId(zone));
    }
    return fault;
  }

  void Aim(ChaosFault& fault, const ZoneId& zone) {
    fault.zone = zone;
    fault.target = zone.value();
    if (fault.kind == ChaosKind::kKillEtcd) fault.target = "etcd-" + zone.value();
    if (OfANode(fault.kind))
      absl::StrAppend(&fault.target, 1 + random_.Below(scope_.nodes_per_zone));
  }

  // Within what certificates are valid for.
  absl::Duration Off() {
    const absl::Duration off =
        absl::Trunc(random_.Between(absl::Seconds(1), absl::Hours(12)), absl::Seconds(1));
    return scope_.certificates || random_.Chance(0.5) ? off : -off;
  }

  // Short drills have short faults, so that they have some.
  absl::Duration Hold(ChaosKind kind) {
    const Range range = HoldOf(kind);
    if (kind == ChaosKind::kRestartAll) return range.from * scope_.zones * scope_.nodes_per_zone;
    const absl::Duration to =
        std::max(range.from + absl::Milliseconds(1), std::min(range.to, scope_.length / 6));
    return Trunc(random_.Between(range.from, to));
  }

  // Mostly long enough for everything to be repaired before the next fault, and sometimes not.
  absl::Duration Pause() {
    const absl::Duration most = std::min(absl::Seconds(12), scope_.length / 6);
    return Trunc(random_.Chance(0.25)
                     ? random_.Between(absl::Milliseconds(200), absl::Milliseconds(1'500))
                     : random_.Between(std::min(absl::Seconds(4), most / 2), most));
  }

  static absl::Duration Trunc(absl::Duration duration) {
    return absl::Trunc(duration, absl::Milliseconds(1));
  }

  const ChaosScope& scope_;
  Random random_;
  const absl::Duration end_;
  std::vector<ChaosFault> plan_;
};

}  // namespace

const char* NameOf(ChaosKind kind) {
  switch (kind) {
    case ChaosKind::kKill:
      return "kill";
    case ChaosKind::kFreeze:
      return "freeze";
    case ChaosKind::kCut:
      return "cut";
    case ChaosKind::kCutOut:
      return "cut outgoing";
    case ChaosKind::kCutIn:
      return "cut incoming";
    case ChaosKind::kFlap:
      return "flap";
    case ChaosKind::kPowerCut:
    case ChaosKind::kPowerCutAll:
      return "power cut";
    case ChaosKind::kDiskFull:
      return "disk full";
    case ChaosKind::kClockJump:
      return "clock jump";
    case ChaosKind::kRestartAll:
      return "rolling restart";
    case ChaosKind::kKillEtcd:
      return "kill etcd";
    case ChaosKind::kBreakSink:
      return "break";
  }
  return "";
}

std::string Describe(const ChaosFault& fault) {
  const char* const target =
      fault.kind == ChaosKind::kKillEtcd ? fault.zone.value().c_str() : fault.target.c_str();
  std::string text = absl::StrCat(NameOf(fault.kind), " ", target);
  if (fault.kind == ChaosKind::kRestartAll) return text;
  absl::StrAppend(&text, absl::StrFormat(" for %.1f s", absl::ToDoubleSeconds(fault.hold)));
  if (fault.kind == ChaosKind::kClockJump) {
    absl::StrAppend(&text, ", off by ", absl::FormatDuration(fault.off_then), ", then by ",
                    absl::FormatDuration(fault.off_after));
  }
  if (fault.kind == ChaosKind::kFlap) {
    absl::StrAppend(&text, ", on and off every ", absl::ToInt64Milliseconds(fault.flap_every),
                    " ms");
  }
  return text;
}

std::vector<ChaosFault> PlanChaos(const ChaosScope& scope, uint64_t seed) {
  return Planner(scope, seed).Run();
}

bool MayOverlap(const ChaosFault& one, const ChaosFault& other) {
  const bool sink = one.kind == ChaosKind::kBreakSink,
             other_sink = other.kind == ChaosKind::kBreakSink;
  if (sink || other_sink) return sink != other_sink;
  if (one.zone.empty() || one.zone != other.zone) return false;
  // Within a zone: one fault of the network, and one of each process. A full cut stops the zone's
  // etcd member.
  if (OfANetwork(one.kind) && OfANetwork(other.kind)) return false;
  const auto etcd_and_cut = [](const ChaosFault& a, const ChaosFault& b) {
    return a.kind == ChaosKind::kKillEtcd && b.kind == ChaosKind::kCut;
  };
  return one.target != other.target && !etcd_and_cut(one, other) && !etcd_and_cut(other, one);
}

}  // namespace forebay
