#include "drill/drill.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "drill/chaos_drill.h"
#include "drill/drill_bed.h"
#include "drill/rounds_drill.h"

namespace forebay {
namespace {

constexpr absl::Duration kStatusLimit = absl::Seconds(1);

// How long the zone stays broken. Killed: as long as a restart takes; frozen: until long after it
// was replaced (issue: 10 s); cut: beyond every time-out of the protocol.
absl::Duration HoldOf(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return absl::ZeroDuration();
    case Fault::kKill:
      return absl::Seconds(3);
    case Fault::kFreeze:
      return absl::Seconds(10);
    case Fault::kCut:
      return absl::Seconds(6);
  }
  return absl::ZeroDuration();
}

const char* Broken(Fault fault) {
  switch (fault) {
    case Fault::kKill:
      return "killed";
    case Fault::kFreeze:
      return "frozen";
    case Fault::kCut:
      return "cut off";
    case Fault::kNone:
      break;
  }
  return "left alone";
}

// One fault of one zone, half-way.
class ZoneDrill {
 public:
  ZoneDrill(const DrillOptions& options, ShutdownSignal& signal, DrillWatcher& watcher)
      : options_(options), watcher_(watcher), bed_(options, signal, watcher) {}

  absl::StatusOr<DrillReport> Run() {
    absl::StatusOr<DrillReport> report = RunOnBed();
    bed_.Close(report);
    return report;
  }

 private:
  absl::StatusOr<DrillReport> RunOnBed() {
    FOREBAY_RETURN_IF_ERROR(bed_.Prepare({.cuttable = fault() == Fault::kCut}));
    bed_.StartLoad();
    while (!bed_.load().AllSent() || (fault() != Fault::kNone && !healed_at_.has_value())) {
      FOREBAY_RETURN_IF_ERROR(Step());
    }
    FOREBAY_RETURN_IF_ERROR(
        bed_.WindDown([this] { return Step(); }, [this] { return Repaired(); }));
    return Compare();
  }

  std::string Doing() const {
    if (!broken_at_.has_value()) return "all zones up";
    if (!healed_at_.has_value())
      return absl::StrCat("zone ", target_.value(), " ", Broken(fault()));
    return repaired_at_.has_value() ? "all zones up, fully replicated" : "all zones up, repairing";
  }

  Fault fault() const { return options_.fault; }

  // One turn of the conductor: break, heal, look.
  absl::Status Step() {
    const absl::Time now = bed_.clock().Now();
    if (fault() != Fault::kNone && !broken_at_.has_value() &&
        bed_.load().counts().sent >= options_.events / 2) {
      FOREBAY_RETURN_IF_ERROR(Break());
    }
    if (broken_at_.has_value() && !healed_at_.has_value() && now >= *broken_at_ + HoldOf(fault())) {
      FOREBAY_RETURN_IF_ERROR(bed_.cluster().Heal());
      healed_at_ = bed_.clock().Now();
      watcher_.Said(absl::StrCat("zone ", target_.value(), " is back"));
    }
    if (healed_at_.has_value() && !repaired_at_.has_value()) Look();
    return bed_.Turn(Doing());
  }

  absl::Status Break() {
    const absl::StatusOr<ClusterStatus> status = bed_.cluster().remote().Status(kStatusLimit);
    if (!status.ok()) return WithContext(status.status(), "before the fault");
    std::map<NodeId, ZoneId> zone_of;
    for (const NodeStatus& node : status->nodes) zone_of[node.record.id] = node.record.zone;
    std::map<ZoneId, std::set<uint32_t>> owned;
    for (const ZoneId& zone : bed_.cluster().zones()) owned[zone];
    for (const PartitionStatus& partition : status->partitions) {
      const Chain& chain = partition.chain;
      if (partition.partition.stream != bed_.stream().name || chain.segments.empty()) continue;
      owned[zone_of[chain.segments.back().owner]].insert(partition.partition.index);
    }
    target_ = ZoneId(options_.target);
    if (options_.target == kMostOwners) {
      target_ = std::max_element(owned.begin(), owned.end(), [](const auto& a, const auto& b) {
                  return a.second.size() < b.second.size();
                })->first;
    }
    owned_by_target_ = owned[target_];
    broken_at_ = bed_.clock().Now();
    FOREBAY_RETURN_IF_ERROR(bed_.cluster().Break(target_, fault()));
    broken_complete_ = bed_.clock().Now();
    watcher_.Said(absl::StrCat("zone ", target_.value(), " is ", Broken(fault()), ", it owned ",
                               owned_by_target_.size(), " of ", options_.partitions,
                               " partitions"));
    return absl::OkStatus();
  }

  // Looks whether every copy is there again.
  void Look() {
    const ClusterSample sample = bed_.watch().last();
    if (!sample.all_up || sample.at < *healed_at_ || sample.whole_at < *healed_at_) return;
    repaired_at_ = bed_.clock().Now();
    watcher_.Said("fully replicated again");
  }

  bool Repaired() const { return fault() == Fault::kNone || repaired_at_.has_value(); }

  absl::StatusOr<DrillReport> Compare() {
    std::optional<DrillFault> fault;
    if (broken_at_.has_value()) {
      fault = {.began = *broken_at_, .complete = broken_complete_, .partitions = owned_by_target_};
    }
    absl::StatusOr<DrillReport> report = bed_.Compare(fault);
    if (!report.ok()) return report;
    report->target = target_;
    report->repaired = Repaired();
    if (repaired_at_.has_value()) {
      report->repaired_ms = absl::ToDoubleMilliseconds(*repaired_at_ - *broken_at_);
    }
    return report;
  }

  const DrillOptions& options_;
  DrillWatcher& watcher_;
  DrillBed bed_;
  ZoneId target_;
  std::set<uint32_t> owned_by_target_;
  std::optional<absl::Time> broken_at_, healed_at_, repaired_at_;
  absl::Time broken_complete_;
};

}  // namespace

absl::StatusOr<DrillReport> RunDrill(const DrillOptions& options, ShutdownSignal& signal,
                                     DrillWatcher& watcher) {
  if (options.rounds.has_value()) return RoundsDrill(options, signal, watcher).Run();
  if (options.chaos.has_value()) return ChaosDrill(options, signal, watcher).Run();
  return ZoneDrill(options, signal, watcher).Run();
}

}  // namespace forebay
