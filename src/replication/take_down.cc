#include "replication/take_down.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "replication/core/placement.h"
#include "replication/core/quorum.h"

namespace forebay {
namespace {

using Kind = Obstacle::Kind;

std::string Names(absl::Span<const Replica> replicas, ReplicaMask set) {
  std::vector<std::string> names;
  for (size_t i = 0; i < replicas.size(); i++) {
    if (!(set >> i & 1)) continue;
    names.push_back(absl::StrCat(replicas[i].node.value(), " (", replicas[i].zone.value(), ")"));
  }
  return names.empty() ? "no node" : "only " + absl::StrJoin(names, ", ");
}

std::string Asked(const QuorumRule& rule) {
  return absl::StrCat(rule.ack_copies, " copies in ", rule.ack_zones, " zones");
}

// Judges one partition after another against the same nodes.
class Judge {
 public:
  Judge(absl::Span<const NodeStatus> nodes, const std::set<NodeId>& down) : down_(down) {
    for (const NodeStatus& node : nodes) {
      const bool goes = down.contains(node.record.id);
      if (!goes && !node.alive && !node.leaving) {
        obstacles_.push_back(
            {Kind::kSilentNode, std::nullopt,
             absl::StrCat("node ", node.record.id.value(), " in zone ", node.record.zone.value(),
                          " does not answer: bring it back, or replace it, first")});
      }
      if (goes || !node.alive) continue;
      up_.push_back(node.record);
      if (!node.leaving && !node.record.draining) usable_.push_back(node.record);
    }
  }

  void Look(const PartitionStatus& partition) {
    if (partition.asked.ack_copies == 0) {
      Add(partition, Kind::kUnknownState,
          "the nodes asked run a version that does not say what the stream asks for");
      return;
    }
    LookAtPlacement(partition);
    if (partition.chain.segments.empty()) return;  // nothing was ever stored
    if (!partition.owned_here) {
      Add(partition, Kind::kUnknownState,
          absl::StrCat("its owner ", partition.chain.segments.back().owner.value(),
                       " does not answer as such: what is safe is not known"));
      return;
    }
    LookAtOpenSegment(partition);
    for (const Segment& segment : partition.chain.segments) {
      const bool needed = segment.end.has_value() && *segment.end > partition.trim_floor;
      if (needed) LookAtSealedSegment(partition, segment);
    }
  }

  std::vector<Obstacle> Take() { return std::move(obstacles_); }

 private:
  void Add(const PartitionStatus& partition, Kind kind, std::string why) {
    obstacles_.push_back({kind, partition.partition, std::move(why)});
  }

  // Of the list, who will be there, with the store that the list names.
  ReplicaMask Up(absl::Span<const Replica> replicas) const {
    ReplicaMask up = 0;
    for (size_t i = 0; i < replicas.size(); i++) {
      const bool is_up = std::any_of(up_.begin(), up_.end(), [&](const NodeRecord& node) {
        return node.id == replicas[i].node && node.incarnation == replicas[i].incarnation;
      });
      if (is_up) up |= ReplicaMask{1} << i;
    }
    return up;
  }

  static ReplicaMask Among(absl::Span<const Replica> replicas, const std::vector<NodeId>& nodes) {
    ReplicaMask among = 0;
    for (size_t i = 0; i < replicas.size(); i++) {
      const bool is_one = std::find(nodes.begin(), nodes.end(), replicas[i].node) != nodes.end();
      if (is_one) among |= ReplicaMask{1} << i;
    }
    return among;
  }

  void LookAtPlacement(const PartitionStatus& partition) {
    if (!usable_.empty()) {
      const std::vector<Replica> placed =
          Place(partition.partition, std::max(partition.copies, partition.asked.ack_copies),
                usable_.front(), usable_);
      if (IsAckQuorum(partition.asked, placed, AllOf(placed))) return;
    }
    Add(partition, Kind::kTooFewNodes,
        absl::StrCat("the ", usable_.size(), " nodes left cannot hold ", Asked(partition.asked)));
  }

  void LookAtOpenSegment(const PartitionStatus& partition) {
    const Segment& open = partition.chain.segments.back();
    const ReplicaMask up = Up(open.replicas);
    const ReplicaMask in_sync = up & Among(open.replicas, partition.in_sync);
    if (!IsAckQuorum(partition.asked, open.replicas, in_sync)) {
      Add(partition, Kind::kAckQuorum,
          absl::StrCat(Names(open.replicas, in_sync), " would be left in sync to acknowledge, not ",
                       Asked(partition.asked)));
    }
    if (!IsSealQuorum(open.rule, open.replicas, up)) {
      Add(partition, Kind::kSealQuorum,
          absl::StrCat(Names(open.replicas, up), " of ", open.replicas.size(),
                       " replicas would be left: too few to take it over"));
    }
    if (!down_.contains(open.owner)) return;
    const bool heir = std::any_of(usable_.begin(), usable_.end(), [&](const NodeRecord& node) {
      const int index = IndexOf(open.replicas, node.id);
      return index >= 0 && (in_sync >> index & 1);
    });
    if (!heir) {
      Add(partition, Kind::kNoHandOver,
          absl::StrCat(open.owner.value(),
                       " owns it, and no other replica is in sync and free to take it over"));
    }
  }

  void LookAtSealedSegment(const PartitionStatus& partition, const Segment& segment) {
    const auto found = partition.holders.find(segment.epoch);
    const std::vector<NodeId> holders =
        found == partition.holders.end() ? std::vector<NodeId>() : found->second;
    const ReplicaMask left = Up(segment.replicas) & Among(segment.replicas, holders);
    if (IsAckQuorum(segment.rule, segment.replicas, left)) return;
    Add(partition, Kind::kSealedSegment,
        absl::StrCat("the segment of epoch ", segment.epoch.value(), " (offsets ",
                     segment.base.value(), " to ", segment.end->value(), ") would be left on ",
                     Names(segment.replicas, left), ", as far as is known"));
  }

  const std::set<NodeId>& down_;
  std::vector<NodeRecord> up_;      // what will be there
  std::vector<NodeRecord> usable_;  // and may be given more
  std::vector<Obstacle> obstacles_;
};

}  // namespace

const char* NameOf(Obstacle::Kind kind) {
  switch (kind) {
    case Kind::kSilentNode:
      return "silent_node";
    case Kind::kUnknownState:
      return "unknown_state";
    case Kind::kTooFewNodes:
      return "too_few_nodes";
    case Kind::kAckQuorum:
      return "ack_quorum";
    case Kind::kSealQuorum:
      return "seal_quorum";
    case Kind::kNoHandOver:
      return "no_hand_over";
    case Kind::kSealedSegment:
      return "sealed_segment";
  }
  FOREBAY_CHECK(false, "no such obstacle");
}

std::vector<Obstacle> JudgeTakeDown(absl::Span<const NodeStatus> nodes,
                                    absl::Span<const PartitionStatus> partitions,
                                    const std::set<NodeId>& down) {
  Judge judge(nodes, down);
  for (const PartitionStatus& partition : partitions) judge.Look(partition);
  return judge.Take();
}

Remains RemainsOf(absl::Span<const PartitionStatus> partitions, const std::set<NodeId>& nodes) {
  Remains remains;
  for (const PartitionStatus& partition : partitions) {
    const std::vector<Segment>& segments = partition.chain.segments;
    if (segments.empty()) continue;
    if (!partition.owned_here) remains.unknown++;
    if (nodes.contains(segments.back().owner)) remains.owned++;
    for (const Segment& segment : segments) {
      const bool named =
          std::any_of(segment.replicas.begin(), segment.replicas.end(),
                      [&](const Replica& replica) { return nodes.contains(replica.node); });
      if (!named) continue;
      (segment.end.has_value() ? remains.sealed_segments : remains.open_segments)++;
    }
  }
  return remains;
}

}  // namespace forebay
