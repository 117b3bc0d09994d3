// Rounds in which nodes come and go while a zone is cut off.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "cli/maintenance_view.h"
#include "drill/round_kind.h"

namespace forebay {
namespace {

constexpr absl::Duration kStatusLimit = absl::Seconds(1);
constexpr absl::Duration kLookEvery = absl::Milliseconds(250);
// For an operator's word to be written, for a new node to be heard of, for one that leaves to be
// empty: far more than it takes, as nothing is measured by it.
constexpr absl::Duration kStepLimit = absl::Seconds(60);

enum class Change { kReplace, kReplaceLost, kEvacuate, kAdd };
constexpr Change kChanges[] = {Change::kReplace, Change::kEvacuate, Change::kAdd,
                               Change::kReplaceLost};

struct Plan {
  Change change;
  ZoneId zone;      // in which something changes
  ZoneId cut_zone;  // may be the same
  Cut cut;
  std::string leaves;  // a node; none when a zone is evacuated
  std::string joins;
};

template <typename T>
const T& Pick(const std::vector<T>& from, Random& random) {
  FOREBAY_CHECK(!from.empty(), "something to pick from");
  return from[random.Below(from.size())];
}

const char* NameOf(Cut cut) {
  switch (cut) {
    case Cut::kOutgoing:
      return "cut outgoing";
    case Cut::kIncoming:
      return "cut incoming";
    default:
      return "cut off";
  }
}

std::string Describe(const Plan& plan) {
  const std::string meanwhile =
      absl::StrCat(", zone ", plan.cut_zone.value(), " ", NameOf(plan.cut));
  switch (plan.change) {
    case Change::kReplace:
      return absl::StrCat("replace ", plan.leaves, " with ", plan.joins, meanwhile);
    case Change::kReplaceLost:
      return absl::StrCat("lose ", plan.leaves, ", replace it with ", plan.joins, meanwhile);
    case Change::kEvacuate:
      return absl::StrCat("evacuate zone ", plan.zone.value(), meanwhile);
    case Change::kAdd:
      return absl::StrCat("add ", plan.joins, ", then remove ", plan.leaves, meanwhile);
  }
  return meanwhile;
}

// One round.
class MembershipRound {
 public:
  // `left` are the nodes that have left so far.
  MembershipRound(RoundStage& stage, std::set<std::string>& left)
      : stage_(stage), cluster_(stage.cluster()), left_(left) {}

  absl::Status Run() {
    plan_ = Draw();
    const absl::Duration before =
        stage_.random().Between(absl::ZeroDuration(), absl::Milliseconds(1500));
    const absl::Duration after = stage_.random().Between(absl::Seconds(1), absl::Seconds(4));
    // In a zone that is cut off nothing can start: it would not reach the metadata store.
    const bool joins_before = !plan_.joins.empty() && plan_.zone == plan_.cut_zone;
    if (joins_before) {
      FOREBAY_RETURN_IF_ERROR(Join());
      FOREBAY_RETURN_IF_ERROR(stage_.WaitUntil([this] { return IsUp(plan_.joins); }, kStepLimit,
                                               absl::StrCat("the start of ", plan_.joins)));
    }
    stage_.Begin(Describe(plan_));
    FOREBAY_RETURN_IF_ERROR(cluster_.SetCut(plan_.cut_zone, plan_.cut));
    stage_.InEffect();
    FOREBAY_RETURN_IF_ERROR(stage_.Spend(before));
    if (!plan_.joins.empty() && !joins_before) FOREBAY_RETURN_IF_ERROR(Join());
    FOREBAY_RETURN_IF_ERROR(ChangeMembers());
    FOREBAY_RETURN_IF_ERROR(stage_.Spend(after));
    FOREBAY_RETURN_IF_ERROR(cluster_.SetCut(plan_.cut_zone, Cut::kNone));
    stage_.End();
    return Finish();
  }

 private:
  Plan Draw() {
    Random& random = stage_.random();
    Plan plan;
    plan.change = kChanges[(stage_.number() - 1) % std::size(kChanges)];
    const std::vector<ZoneId> zones = cluster_.zones();
    plan.cut_zone = Pick(zones, random);
    const bool both = random.Chance(0.5);
    plan.cut = both ? Cut::kBoth : random.Chance(0.5) ? Cut::kOutgoing : Cut::kIncoming;
    do {
      plan.zone = Pick(zones, random);
      // A zone may be lost beside a zone that is cut off only if it is the same.
    } while ((plan.change == Change::kReplaceLost && plan.zone != plan.cut_zone) ||
             (plan.change == Change::kAdd && plan.zone == plan.cut_zone));
    if (plan.change == Change::kEvacuate) return plan;
    plan.joins = Pick(InZone(cluster_.spare_names(), plan.zone), random);
    std::vector<std::string> may_leave = InZone(cluster_.node_names(), plan.zone);
    if (plan.change == Change::kAdd) may_leave.push_back(plan.joins);
    plan.leaves = Pick(may_leave, random);
    return plan;
  }

  std::vector<std::string> InZone(std::vector<std::string> names, const ZoneId& zone) const {
    std::erase_if(names, [&](const std::string& name) { return cluster_.zone_of(name) != zone; });
    return names;
  }

  // As `forebay node` on a new machine.
  absl::Status Join() {
    if (left_.erase(plan_.joins) > 0) {
      FOREBAY_RETURN_IF_ERROR(SetLeaving(MaintenanceRecord::Of::kNode, plan_.joins, false));
    }
    FOREBAY_RETURN_IF_ERROR(cluster_.Join(plan_.joins));
    stage_.bed().ExpectNodes();
    return absl::OkStatus();
  }

  absl::Status Retire() {
    FOREBAY_RETURN_IF_ERROR(cluster_.Retire(plan_.leaves));
    left_.insert(plan_.leaves);
    stage_.bed().ExpectNodes();
    return absl::OkStatus();
  }

  absl::Status ChangeMembers() {
    switch (plan_.change) {
      case Change::kReplaceLost:
        cluster_.Kill(plan_.leaves);
        FOREBAY_RETURN_IF_ERROR(Retire());
        return SetLeaving(MaintenanceRecord::Of::kNode, plan_.leaves, true);
      case Change::kReplace:
        return SetLeaving(MaintenanceRecord::Of::kNode, plan_.leaves, true);
      case Change::kEvacuate:
        return SetLeaving(MaintenanceRecord::Of::kZone, plan_.zone.value(), true);
      case Change::kAdd:
        break;
    }
    return absl::OkStatus();
  }

  // The change comes to its end once nothing is broken any more.
  absl::Status Finish() {
    if (plan_.change == Change::kEvacuate) {
      FOREBAY_RETURN_IF_ERROR(WaitUntilEmpty());
      FOREBAY_RETURN_IF_ERROR(SetLeaving(MaintenanceRecord::Of::kZone, plan_.zone.value(), false));
    } else {
      if (plan_.change == Change::kAdd) {
        FOREBAY_RETURN_IF_ERROR(WaitUntilWhole());
        FOREBAY_RETURN_IF_ERROR(SetLeaving(MaintenanceRecord::Of::kNode, plan_.leaves, true));
      }
      FOREBAY_RETURN_IF_ERROR(WaitUntilEmpty());
      if (plan_.change != Change::kReplaceLost) FOREBAY_RETURN_IF_ERROR(Retire());
    }
    return WaitUntilWhole();
  }

  absl::Status WaitUntilWhole() {
    const absl::Time now = stage_.bed().clock().Now();
    return stage_.WaitUntil([&] { return stage_.WholeSince(now); }, kStepLimit, "full replication");
  }

  // Writes it as `forebay admin` does; any node may do it.
  absl::Status SetLeaving(MaintenanceRecord::Of of, const std::string& name, bool leaving) {
    const bool with = leaving && plan_.change != Change::kAdd && !plan_.joins.empty();
    const MaintenanceRecord record{of, name, leaving, NodeId(with ? plan_.joins : "")};
    absl::Status last;
    const absl::Status waited = stage_.WaitUntil(
        [&] { return (last = cluster_.remote().SetMaintenance(record, kStatusLimit)).ok(); },
        kStepLimit, "the maintenance record");
    return absl::IsDeadlineExceeded(waited) ? WithContext(last, waited.message()) : waited;
  }

  bool IsUp(const std::string& name) {
    const absl::StatusOr<ClusterStatus> status = Look();
    return status.ok() &&
           std::any_of(status->nodes.begin(), status->nodes.end(), [&](const NodeStatus& node) {
             return node.record.id.value() == name && node.alive && !node.leaving;
           });
  }

  // What leaves has nothing any more, and can be stopped: what `forebay admin` waits for.
  absl::Status WaitUntilEmpty() {
    const bool zone = plan_.change == Change::kEvacuate;
    const TakeDownTarget target{zone ? MaintenanceRecord::Of::kZone : MaintenanceRecord::Of::kNode,
                                zone ? plan_.zone.value() : plan_.leaves};
    std::string left;
    const absl::Status waited = stage_.WaitUntil([&] { return IsEmpty(target, left); }, kStepLimit,
                                                 absl::StrCat("to empty ", target.ToString()));
    return absl::IsDeadlineExceeded(waited) ? WithContext(waited, left) : waited;
  }

  bool IsEmpty(const TakeDownTarget& target, std::string& left) {
    const absl::StatusOr<ClusterStatus> status = Look();
    if (!status.ok()) return false;
    const absl::StatusOr<std::set<NodeId>> nodes = NodesOf(target, *status);
    if (!nodes.ok()) return false;
    const Remains remains = RemainsOf(status->partitions, *nodes);
    const std::vector<Obstacle> obstacles = Judge(*status, *nodes);
    const bool all_know = std::all_of(
        status->nodes.begin(), status->nodes.end(),
        [&](const NodeStatus& node) { return !nodes->contains(node.record.id) || node.leaving; });
    left = obstacles.empty() ? RemainsLine(target, remains) : obstacles.front().why;
    return all_know && remains.nothing() && obstacles.empty();
  }

  // Not all the time: it asks every node.
  absl::StatusOr<ClusterStatus> Look() {
    const absl::Time now = stage_.bed().clock().Now();
    if (now < looked_at_ + kLookEvery) return absl::UnavailableError("not yet");
    looked_at_ = now;
    return cluster_.remote().Status(kStatusLimit);
  }

  RoundStage& stage_;
  LocalCluster& cluster_;
  std::set<std::string>& left_;
  Plan plan_;
  absl::Time looked_at_ = absl::InfinitePast();
};

absl::Status Prepare(const DrillOptions& options, LocalClusterOptions& cluster) {
  if (options.zones < 3) {
    return absl::InvalidArgumentError(
        "membership rounds need --zones 3 or more: beside a zone that is cut off, two must go on");
  }
  cluster.cuttable = true;
  cluster.spares_per_zone = 1;
  return absl::OkStatus();
}

}  // namespace

RoundKind MembershipRounds() {
  return {.name = "membership",
          .meaning =
              "while a zone is cut off, both ways or one way, a node is replaced by a new one, a "
              "zone is evacuated, a node is added (and one taken away after it), or a node is lost "
              "and replaced, in turn",
          .prepare = Prepare,
          .run = [left = std::set<std::string>()](RoundStage& stage) mutable {
            return MembershipRound(stage, left).Run();
          }};
}

}  // namespace forebay
