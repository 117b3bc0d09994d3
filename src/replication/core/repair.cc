#include "replication/core/repair.h"

#include <algorithm>

#include "replication/core/placement.h"
#include "replication/core/quorum.h"

namespace forebay {
namespace {

// Copies of one partition under way at the same time: live traffic comes first.
constexpr size_t kCopiersMax = 4;
constexpr uint64_t kRequestsPerReader = uint64_t{1} << 32;

const RepairNode* Find(const std::vector<RepairNode>& nodes, const NodeId& id) {
  for (const RepairNode& node : nodes) {
    if (node.record.id == id) return &node;
  }
  return nullptr;
}

// The node is there with the store that the list names.
bool IsSame(const RepairNode* node, const Replica& replica) {
  return node != nullptr && node->record.incarnation == replica.incarnation;
}

}  // namespace

RepairCore::RepairCore(PartitionId partition, NodeId self, uint64_t request)
    : partition_(std::move(partition)), self_(std::move(self)), request_(request) {}

bool RepairCore::Confirmed(Epoch epoch, const Replica& replica) const {
  const auto found = confirmed_.find({epoch, replica.node});
  if (found == confirmed_.end() || found->second.incarnation != replica.incarnation) return false;
  // damage-asks-again: since it said so, damage was found there.
  const RepairNode* node = Find(view_.nodes, replica.node);
  return node == nullptr || node->record.damage == found->second.damage;
}

std::vector<NodeId> RepairCore::HoldersOf(const Segment& segment) const {
  std::vector<NodeId> holders;
  for (const Replica& replica : segment.replicas) {
    if (Confirmed(segment.epoch, replica)) holders.push_back(replica.node);
  }
  return holders;
}

bool RepairCore::IsNamed(const Chain& chain, const Key& key) {
  return std::any_of(chain.segments.begin(), chain.segments.end(), [&](const Segment& segment) {
    return segment.epoch == key.epoch && IndexOf(segment.replicas, key.node) >= 0;
  });
}

void RepairCore::Survey(RepairView view, absl::Time now, Outbox& out) {
  CollectFinished();
  // A copy request names the version it was decided on, so older ones are not worth going on with.
  const bool changed = view.chain_version != view_.chain_version;
  if (changed) copiers_.clear();
  view_ = std::move(view);
  under_replicated_ = 0;
  const std::vector<Segment>& segments = view_.chain.segments;
  // repair-version: a node that this chain does not name may delete its copy when it reads it.
  if (changed) {
    std::erase_if(confirmed_, [&](const auto& item) { return !IsNamed(view_.chain, item.first); });
  }
  for (size_t i = 0; i + 1 < segments.size(); i++) {
    if (*segments[i].end > view_.floor) SurveySegment(segments[i], now, out);
  }
}

void RepairCore::SurveySegment(const Segment& segment, absl::Time now, Outbox& out) {
  std::vector<Replica> staying;
  int held = 0;
  for (const Replica& replica : segment.replicas) {
    const RepairNode* node = Find(view_.nodes, replica.node);
    if (!IsSame(node, replica)) continue;
    if (!node->replace) staying.push_back(replica);
    if (!node->alive) continue;
    if (Confirmed(segment.epoch, replica)) {
      held++;
    } else {
      StartCopier(segment, replica, now, out);
    }
  }
  if (held < view_.copies) under_replicated_++;
  // Who else should hold it: as if it were placed anew, with those that stay first.
  std::vector<Candidate> candidates;
  for (const RepairNode& node : view_.nodes) {
    if (!node.alive || node.replace || node.record.disk_full) continue;
    candidates.push_back(
        {&node.record, !node.replaces.empty() && IndexOf(segment.replicas, node.replaces) >= 0});
  }
  const size_t stay = staying.size();
  FillUp(partition_, view_.copies, candidates, staying);
  for (size_t i = stay; i < staying.size(); i++) {
    if (!Confirmed(segment.epoch, staying[i])) StartCopier(segment, staying[i], now, out);
  }
}

void RepairCore::StartCopier(const Segment& segment, const Replica& target, absl::Time now,
                             Outbox& out) {
  const Key key{segment.epoch, target.node};
  if (copiers_.contains(key) || copiers_.size() >= kCopiersMax) return;
  std::vector<NodeId> sources;
  for (const Replica& replica : segment.replicas) {
    const RepairNode* node = Find(view_.nodes, replica.node);
    if (replica.node == target.node || node == nullptr || !node->alive) continue;
    const bool best = replica.node == self_ || Confirmed(segment.epoch, replica);
    sources.insert(best ? sources.begin() : sources.end(), replica.node);
  }
  request_ += kRequestsPerReader;
  const CopyTask task{
      {partition_, segment.epoch},       segment.base,        *segment.end,
      view_.chain.segments.back().epoch, view_.chain_version, *segment.end == segment.base};
  auto copier = std::make_unique<SegmentCopier>(task, target, std::move(sources), request_);
  copier->Start(now, out);
  const RepairNode* node = Find(view_.nodes, target.node);
  copiers_[key] = {{target.incarnation, node == nullptr ? 0 : node->record.damage},
                   std::move(copier)};
}

void RepairCore::CollectFinished() {
  std::erase_if(copiers_, [&](const auto& item) {
    const SegmentCopier& copier = *item.second.copier;
    if (copier.state() == SegmentCopier::State::kHolds) {
      confirmed_[item.first] = item.second.becomes;
    }
    return copier.state() != SegmentCopier::State::kRunning;
  });
}

void RepairCore::OnCopyReply(const NodeId& from, const CopyReply& reply, absl::Time now,
                             Outbox& out) {
  const auto found = copiers_.find({reply.segment.epoch, from});
  if (found == copiers_.end()) return;
  found->second.copier->OnCopyReply(from, reply, now, out);
  CollectFinished();
}

void RepairCore::OnFetchReply(const NodeId& from, const FetchReply& reply, absl::Time now,
                              Outbox& out) {
  for (auto& [key, copying] : copiers_) copying.copier->OnFetchReply(from, reply, now, out);
}

void RepairCore::OnTick(absl::Time now, Outbox& out) {
  for (auto& [key, copying] : copiers_) copying.copier->OnTick(now, out);
}

std::vector<Replica> RepairCore::Corrected(const Segment& segment) const {
  std::vector<Replica> list;
  std::vector<Replica> holders;
  for (const Replica& replica : segment.replicas) {
    const RepairNode* node = Find(view_.nodes, replica.node);
    if (Confirmed(segment.epoch, replica)) holders.push_back(replica);
    if (IsSame(node, replica) && !node->replace) list.push_back(replica);
  }
  for (const RepairNode& node : view_.nodes) {
    const Replica joining{node.record.id, node.record.incarnation, node.record.zone};
    if (IndexOf(list, joining.node) >= 0 || !Confirmed(segment.epoch, joining) || node.replace) {
      continue;
    }
    list.push_back(joining);
    holders.push_back(joining);
  }
  // Copy before swap: the list may only lose a name while an ack quorum of those that stay on it is
  // known to hold everything.
  std::vector<Replica> safe;
  for (const Replica& replica : list) {
    if (IndexOf(holders, replica.node) >= 0) safe.push_back(replica);
  }
  if (!IsAckQuorum(segment.rule, safe, AllOf(safe))) return segment.replicas;
  // A name that leaves waits until there are as many copies as asked for; one that an operator
  // wants to leave, as many as the nodes that stay can hold.
  const auto staying = std::count_if(view_.nodes.begin(), view_.nodes.end(),
                                     [](const RepairNode& node) { return !node.replace; });
  for (const Replica& replica : segment.replicas) {
    if (IndexOf(list, replica.node) >= 0) continue;
    const RepairNode* node = Find(view_.nodes, replica.node);
    const bool wanted_gone = node != nullptr && node->leaving;
    const int enough =
        wanted_gone ? std::min(view_.copies, static_cast<int>(staying)) : view_.copies;
    if (static_cast<int>(safe.size()) < enough) list.push_back(replica);
  }
  return list;
}

std::optional<Chain> RepairCore::Proposal() const {
  Chain corrected = view_.chain;
  bool changed = false;
  for (size_t i = 0; i + 1 < corrected.segments.size(); i++) {
    Segment& segment = corrected.segments[i];
    std::vector<Replica> list = Corrected(segment);
    if (list == segment.replicas) continue;
    segment.replicas = std::move(list);
    changed = true;
  }
  if (!changed) return std::nullopt;
  return corrected;
}

}  // namespace forebay
