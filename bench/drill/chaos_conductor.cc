#include "drill/chaos_conductor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "cli/numbers.h"

namespace forebay {
namespace {

// A rolling restart goes on after that long also when not every copy is back: the drill then says
// at its end what is missing.
constexpr absl::Duration kRestartPatience = absl::Seconds(30);

}  // namespace

struct ChaosConductor::Running {
  ChaosFault fault;
  size_t span = 0;
  bool over = false;
  // kFlap: whether nothing passes now, and since when.
  bool cut = false;
  absl::Duration turned;
  // kRestartAll: the nodes that are left; the first of them is restarted now.
  std::vector<std::string> nodes;
  enum { kIdle, kStopping, kReturning } step = kIdle;
  absl::Duration since;
};

ChaosConductor::ChaosConductor(std::vector<ChaosFault> plan, Place place)
    : plan_(std::move(plan)), place_(std::move(place)) {}

ChaosConductor::~ChaosConductor() = default;

absl::Status ChaosConductor::Turn(absl::Duration now, const ClusterLook& look) {
  now_ = now;
  look_ = look;
  Recover();
  for (auto& running : running_) FOREBAY_RETURN_IF_ERROR(Progress(*running));
  std::erase_if(running_, [](const auto& running) { return running->over; });
  while (next_ < plan_.size() && plan_[next_].start <= now_) {
    const ChaosFault& fault = plan_[next_];
    if (!std::all_of(running_.begin(), running_.end(),
                     [&](const auto& other) { return MayOverlap(fault, other->fault); })) {
      break;
    }
    FOREBAY_RETURN_IF_ERROR(WithContext(Begin(fault), Describe(fault)));
    ++next_;
  }
  return absl::OkStatus();
}

// Every node and owner was up at a look after `time`, and every copy was seen there since.
bool ChaosConductor::WholeSince(absl::Duration time) const {
  return look_.all_up && look_.at > time && look_.whole_at > time;
}

bool ChaosConductor::Done() const {
  return next_ == plan_.size() && running_.empty() &&
         std::all_of(spans_.begin(), spans_.end(), [&](const ChaosSpan& span) {
           return span.ended.has_value() && WholeSince(*span.ended);
         });
}

absl::Duration ChaosConductor::LastEnd() const {
  absl::Duration last;
  for (const ChaosSpan& span : spans_) last = std::max(last, span.ended.value_or(last));
  return last;
}

std::string ChaosConductor::Doing() const {
  std::vector<std::string> words;
  for (const auto& running : running_) {
    words.push_back(absl::StrCat(NameOf(running->fault.kind), " ", spans_[running->span].target));
  }
  if (words.empty()) return WholeSince(LastEnd()) ? "all up" : "all up, repairing";
  return absl::StrJoin(words, ", ");
}

size_t ChaosConductor::Open(const ChaosFault& fault, std::string target) {
  spans_.push_back(
      {.fault = fault, .target = std::move(target), .began = now_, .ended = {}, .recovered = {}});
  return spans_.size() - 1;
}

absl::Status ChaosConductor::Begin(const ChaosFault& fault) {
  LocalCluster& cluster = place_.cluster;
  place_.say(now_, Describe(fault));
  auto running = std::make_unique<Running>();
  running->fault = fault;
  running->turned = running->since = now_;
  if (fault.kind != ChaosKind::kRestartAll) running->span = Open(fault, fault.target);
  Running& r = *running;
  running_.push_back(std::move(running));
  switch (fault.kind) {
    case ChaosKind::kKill:
    case ChaosKind::kKillEtcd:
      cluster.Kill(fault.target);
      return absl::OkStatus();
    case ChaosKind::kFreeze:
      cluster.Freeze(fault.target);
      return absl::OkStatus();
    case ChaosKind::kCut:
      return cluster.SetCut(fault.zone, Cut::kBoth);
    case ChaosKind::kCutOut:
      return cluster.SetCut(fault.zone, Cut::kOutgoing);
    case ChaosKind::kCutIn:
      return cluster.SetCut(fault.zone, Cut::kIncoming);
    case ChaosKind::kFlap:
      r.cut = true;
      return cluster.SetCut(fault.zone, Cut::kBoth);
    case ChaosKind::kPowerCut:
      return cluster.CutPower({fault.target});
    case ChaosKind::kPowerCutAll:
      FOREBAY_RETURN_IF_ERROR(cluster.CutPower(cluster.node_names()));
      for (const std::string& member : cluster.etcd_names()) cluster.Kill(member);
      return absl::OkStatus();
    case ChaosKind::kDiskFull:
      return cluster.FillDisk(fault.target);
    case ChaosKind::kClockJump:
      return cluster.SetClockOff(fault.target, fault.off_then);
    case ChaosKind::kRestartAll:
      r.nodes = cluster.node_names();
      return RestartNext(r);
    case ChaosKind::kBreakSink:
      return place_.sink->Break();
  }
  return absl::OkStatus();
}

absl::Status ChaosConductor::End(Running& running) {
  LocalCluster& cluster = place_.cluster;
  const ChaosFault& fault = running.fault;
  running.over = true;
  spans_[running.span].ended = now_;
  switch (fault.kind) {
    case ChaosKind::kKill:
    case ChaosKind::kKillEtcd:
      return cluster.Start(fault.target);
    case ChaosKind::kFreeze:
      cluster.Thaw(fault.target);
      return absl::OkStatus();
    case ChaosKind::kCut:
    case ChaosKind::kCutOut:
    case ChaosKind::kCutIn:
    case ChaosKind::kFlap:
      return cluster.SetCut(fault.zone, Cut::kNone);
    case ChaosKind::kPowerCut:
      return cluster.RestorePower({fault.target});
    case ChaosKind::kPowerCutAll:
      for (const std::string& member : cluster.etcd_names()) {
        FOREBAY_RETURN_IF_ERROR(cluster.Start(member));
      }
      return cluster.RestorePower(cluster.node_names());
    case ChaosKind::kDiskFull:
      return cluster.MakeRoom(fault.target);
    case ChaosKind::kClockJump:
      return cluster.SetClockOff(fault.target, fault.off_after);
    case ChaosKind::kBreakSink:
      return place_.sink->Heal();
    case ChaosKind::kRestartAll:
      break;
  }
  return absl::OkStatus();
}

absl::Status ChaosConductor::Progress(Running& running) {
  if (running.fault.kind == ChaosKind::kRestartAll) return RestartNext(running);
  if (now_ >= spans_[running.span].began + running.fault.hold) {
    return WithContext(End(running), "end of ", Describe(running.fault));
  }
  return running.fault.kind == ChaosKind::kFlap ? Flap(running) : absl::OkStatus();
}

absl::Status ChaosConductor::Flap(Running& running) {
  if (now_ < running.turned + running.fault.flap_every) return absl::OkStatus();
  running.turned = now_;
  running.cut = !running.cut;
  return place_.cluster.SetCut(running.fault.zone, running.cut ? Cut::kBoth : Cut::kNone);
}

// Asks a node to stop, starts it once it has, waits until every copy is there, takes the next.
absl::Status ChaosConductor::RestartNext(Running& running) {
  LocalCluster& cluster = place_.cluster;
  const bool patient = now_ < running.since + kRestartPatience;
  if (running.step == Running::kReturning) {
    if (!WholeSince(running.since) && patient) return absl::OkStatus();
    running.step = Running::kIdle;
    running.nodes.erase(running.nodes.begin());
    if (running.nodes.empty()) {
      running.over = true;
      return absl::OkStatus();
    }
  }
  const std::string& node = running.nodes.front();
  if (running.step == Running::kIdle) {
    place_.say(now_, absl::StrCat("restart ", node));
    running.span = Open(running.fault, node);
    running.step = Running::kStopping;
    running.since = now_;
    cluster.AskToStop(node);
    return absl::OkStatus();
  }
  if (!cluster.Ended(node)) {
    return patient ? absl::OkStatus()
                   : absl::UnavailableError(
                         absl::StrCat(node, " did not stop within ", InSeconds(kRestartPatience)));
  }
  FOREBAY_RETURN_IF_ERROR(cluster.Start(node));
  spans_[running.span].ended = now_;
  running.step = Running::kReturning;
  running.since = now_;
  return absl::OkStatus();
}

void ChaosConductor::Recover() {
  const bool cluster_broken = std::any_of(running_.begin(), running_.end(), [](const auto& r) {
    return r->fault.kind != ChaosKind::kBreakSink;
  });
  for (size_t i = 0; i < spans_.size(); ++i) {
    ChaosSpan& span = spans_[i];
    if (!span.ended.has_value() || span.recovered.has_value() || look_.at <= *span.ended) continue;
    const bool sink = span.fault.kind == ChaosKind::kBreakSink;
    const bool restart = span.fault.kind == ChaosKind::kRestartAll;
    const bool recovered = sink ? static_cast<double>(look_.lag_events) < place_.rate
                                : WholeSince(*span.ended) && (restart || !cluster_broken);
    // Only what comes next after it counts.
    const bool disturbed = std::any_of(
        spans_.begin() + static_cast<std::ptrdiff_t>(i) + 1, spans_.end(), [&](const auto& later) {
          return (later.fault.kind == ChaosKind::kBreakSink) == sink && later.began >= *span.ended;
        });
    if (!recovered || disturbed) continue;
    span.recovered = look_.at - *span.ended;
    place_.say(now_, absl::StrCat(sink ? "the sink has caught up, " : "fully replicated again, ",
                                  InSeconds(*span.recovered), " after ",
                                  restart ? "restart" : NameOf(span.fault.kind), " ", span.target));
  }
}

}  // namespace forebay
