#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "drill/chaos_conductor.h"
#include "drill/drill_load.h"
#include "load/bench_phases.h"
#include "testbed/cluster_watch.h"

namespace forebay {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(20);
constexpr absl::Duration kStatusLimit = absl::Seconds(2);
// A frozen node would hold up every look at the others.
constexpr absl::Duration kLookLimit = absl::Milliseconds(300);
constexpr absl::Duration kStatusEvery = absl::Milliseconds(200);
// Before each fault; what its latency is compared with (latency_recovery.h), and after the last.
constexpr absl::Duration kQuiet = absl::Seconds(2);
// For every copy to be there again after a fault.
constexpr absl::Duration kWholeLimit = absl::Seconds(60);
constexpr absl::Duration kSettleLimit = absl::Seconds(20);

ChaosKind KindOf(BenchFault fault) {
  switch (fault) {
    case BenchFault::kKill:
      return ChaosKind::kKill;
    case BenchFault::kFreeze:
      return ChaosKind::kFreeze;
    case BenchFault::kCut:
      return ChaosKind::kCut;
    case BenchFault::kRestart:
      break;
  }
  return ChaosKind::kRestartAll;
}

// As long as a restart takes; frozen and cut: until long after it was replaced.
absl::Duration HoldOf(BenchFault fault) {
  return fault == BenchFault::kKill ? absl::Seconds(3) : absl::Seconds(6);
}

class FailoverPhase {
 public:
  explicit FailoverPhase(BenchBed& bed) : bed_(bed) {}

  absl::StatusOr<FailoverResult> Run() {
    FOREBAY_RETURN_IF_ERROR(Begin());
    FOREBAY_RETURN_IF_ERROR(Spend(bed_.options().warm_up));
    for (const BenchFault fault : bed_.options().faults) {
      FOREBAY_RETURN_IF_ERROR(Spend(kQuiet));
      FOREBAY_RETURN_IF_ERROR(WithContext(Break(fault), NameOf(fault)));
    }
    FOREBAY_RETURN_IF_ERROR(Spend(kQuiet));
    sent_until_ = bed_.clock().Now();
    load_->StopSending();
    load_->Finish(kSettleLimit).IgnoreError();  // what is not settled then was not acknowledged
    return Result();
  }

 private:
  // Partitions by the node that owns them.
  using Owners = std::map<std::string, std::set<uint32_t>>;
  // A fault as it went.
  struct Span {
    BenchFault fault = BenchFault::kKill;
    absl::Duration quiet_until;  // before the first span of this fault
    ChaosSpan span;
    std::set<uint32_t> partitions;             // that its target owned
    std::optional<absl::Duration> new_owners;  // since it began
  };

  absl::Status Begin() {
    auto load = DrillLoad::Connect({.nodes = bed_.cluster().addresses(),
                                    .tls = {},
                                    .stream = bed_.stream().name,
                                    .producers = bed_.options().producers,
                                    .events = 0,
                                    .rate = bed_.options().rate},
                                   bed_.source(), bed_.clock());
    if (!load.ok()) return load.status();
    load_ = *std::move(load);
    std::set<NodeId> nodes;
    for (const std::string& name : bed_.cluster().node_names()) nodes.insert(NodeId(name));
    watch_ = std::make_unique<ClusterWatch>(
        ClusterWatch::Options{.stream = bed_.stream(),
                              .sink = SinkId(),
                              .nodes = [nodes] { return nodes; },
                              .every = kStatusEvery,
                              .acknowledged = [] { return uint64_t{0}; }},
        bed_.remote(), bed_.clock());
    started_ = bed_.clock().Now();
    load_->Start();
    watch_->Start();
    return absl::OkStatus();
  }

  absl::Duration Elapsed() { return bed_.clock().Now() - started_; }

  absl::Status Turn(const std::string& doing) {
    FOREBAY_RETURN_IF_ERROR(bed_.cluster().CheckRunning());
    bed_.watcher().Moment(
        {.elapsed = Elapsed(), .counts = load_->counts(), .events = 0, .doing = doing});
    if (!bed_.signal().WaitFor(kTick)) return absl::OkStatus();
    return absl::CancelledError("the bench was stopped by a signal");
  }
  absl::Status Spend(absl::Duration time) {
    const absl::Duration until = Elapsed() + time;
    while (Elapsed() < until) FOREBAY_RETURN_IF_ERROR(Turn("all up"));
    return absl::OkStatus();
  }

  absl::StatusOr<Owners> Owned(absl::Duration limit = kStatusLimit) {
    const absl::StatusOr<ClusterStatus> status = bed_.remote().Status(limit);
    if (!status.ok()) return status.status();
    Owners owned;
    for (const PartitionStatus& partition : status->partitions) {
      if (partition.partition.stream != bed_.stream().name || !partition.owned_here) continue;
      owned[partition.chain.segments.back().owner.value()].insert(partition.partition.index);
    }
    return owned;
  }

  // What it is to be: done to the node that owns most.
  ChaosFault Plan(BenchFault fault, const Owners& owned) {
    ChaosFault plan{
        .kind = KindOf(fault), .target = "all", .start = Elapsed(), .hold = HoldOf(fault)};
    if (fault == BenchFault::kRestart) return plan;
    const auto most = std::max_element(
        owned.begin(), owned.end(),
        [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
    plan.zone = bed_.cluster().zone_of(most->first);
    plan.target = fault == BenchFault::kCut ? plan.zone.value() : most->first;
    return plan;
  }

  // Until every copy is there again, or that takes too long.
  absl::Status Break(BenchFault fault) {
    absl::StatusOr<Owners> owned = Owned();
    if (!owned.ok()) return owned.status();
    if (owned->empty()) return absl::UnavailableError("no partition has an owner");
    const ChaosFault plan = Plan(fault, *owned);
    const auto say = [this](absl::Duration, const std::string& line) { bed_.watcher().Said(line); };
    ChaosConductor conductor(
        {plan},
        {.cluster = bed_.cluster(), .sink = nullptr, .say = say, .rate = bed_.options().rate});
    const absl::Duration limit = plan.end() + kWholeLimit;
    const size_t first = spans_.size();
    while (Elapsed() < limit && !conductor.Done()) {
      const ClusterSample sample = watch_->last();
      FOREBAY_RETURN_IF_ERROR(conductor.Turn(Elapsed(), {.at = sample.at - started_,
                                                         .all_up = sample.all_up,
                                                         .whole_at = sample.whole_at - started_,
                                                         .lag_events = 0}));
      while (spans_.size() - first < conductor.spans().size()) {
        Open(fault, plan.start, conductor.spans()[spans_.size() - first], *owned);
      }
      FOREBAY_RETURN_IF_ERROR(Turn(conductor.Doing()));
      if (fault != BenchFault::kRestart && spans_.size() > first) LookForOwners(spans_[first]);
      // The next node that is restarted owns what it has been handed by then.
      if (fault == BenchFault::kRestart) {
        absl::StatusOr<Owners> now = Owned();
        if (now.ok()) owned = std::move(now);
      }
    }
    for (size_t i = 0; i < conductor.spans().size(); ++i) {
      spans_[first + i].span = conductor.spans()[i];
    }
    return absl::OkStatus();
  }

  void LookForOwners(Span& span) {
    if (span.new_owners.has_value()) return;
    const absl::StatusOr<Owners> owned = Owned(kLookLimit);
    if (!owned.ok()) return;
    std::set<uint32_t> missing = span.partitions;
    for (const auto& [node, indices] : *owned) {
      if (IsHit(span.span, node)) continue;
      for (const uint32_t index : indices) missing.erase(index);
    }
    if (missing.empty()) span.new_owners = Elapsed() - span.span.began;
  }

  bool IsHit(const ChaosSpan& span, const std::string& node) {
    return node == span.target || bed_.cluster().zone_of(node).value() == span.target;
  }

  void Open(BenchFault fault, absl::Duration quiet_until, const ChaosSpan& span,
            const Owners& owned) {
    std::set<uint32_t> partitions;
    for (const auto& [node, indices] : owned) {
      if (IsHit(span, node)) partitions.insert(indices.begin(), indices.end());
    }
    spans_.push_back({.fault = fault,
                      .quiet_until = quiet_until,
                      .span = span,
                      .partitions = std::move(partitions),
                      .new_owners = {}});
  }

  absl::StatusOr<FailoverResult> Result() {
    const std::vector<DrillLog> logs = load_->logs();
    std::vector<std::pair<absl::Time, absl::Time>> times;
    for (const Span& each : spans_) {
      times.emplace_back(started_ + each.span.began,
                         started_ + each.span.ended.value_or(Elapsed()));
    }
    const std::vector<AckGaps> gaps = GapsDuring(logs, times);
    FailoverResult out;
    out.rate = bed_.options().rate;
    out.acknowledged = load_->counts().acknowledged;
    out.failed = load_->counts().failed;
    const std::vector<std::string> failures = load_->failures();
    if (!failures.empty()) out.first_failure = failures.front();
    for (size_t i = 0; i < spans_.size(); ++i) {
      const auto [began, ended] = times[i];
      const absl::Time next = i + 1 < times.size() ? times[i + 1].first : sent_until_;
      FaultResult row{.fault = NameOf(spans_[i].fault),
                      .target = spans_[i].span.target,
                      .partitions = spans_[i].partitions.size(),
                      .gaps = gaps[i],
                      .takeover_ms = {},
                      .takeover_all_ms = {},
                      .new_owners_ms = {},
                      .latency = RecoveryOf(logs, {.quiet_until = started_ + spans_[i].quiet_until,
                                                   .fault = began,
                                                   .until = next}),
                      .whole = spans_[i].span.recovered};
      if (spans_[i].fault != BenchFault::kRestart) {
        const DrillVerdict verdict = Judge(
            logs, {},
            DrillFault{
                .began = began, .complete = began + kTick, .partitions = spans_[i].partitions});
        row.takeover_ms = verdict.takeover_ms;
        row.takeover_all_ms = verdict.takeover_all_ms;
        if (const auto& time = spans_[i].new_owners) {
          row.new_owners_ms = absl::ToDoubleMilliseconds(*time);
        }
      }
      out.faults.push_back(std::move(row));
    }
    return out;
  }

  BenchBed& bed_;
  absl::Time started_, sent_until_;
  std::unique_ptr<DrillLoad> load_;
  std::unique_ptr<ClusterWatch> watch_;
  std::vector<Span> spans_;
};

}  // namespace

absl::StatusOr<FailoverResult> RunFailoverPhase(BenchBed& bed) { return FailoverPhase(bed).Run(); }

}  // namespace forebay
