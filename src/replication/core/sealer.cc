#include "replication/core/sealer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "replication/core/quorum.h"

namespace forebay {
namespace {

constexpr absl::Duration kAskAgainAfter = absl::Milliseconds(150);
constexpr uint64_t kRequestsPerReader = uint64_t{1} << 32;

}  // namespace

SealerCore::SealerCore(PartitionId partition, uint64_t chain_version, Chain chain, NodeRecord self,
                       uint64_t request)
    : partition_(std::move(partition)),
      chain_version_(chain_version),
      chain_(std::move(chain)),
      self_(std::move(self)),
      request_(request) {
  FOREBAY_CHECK(!chain_.segments.empty(), "there is nothing to take over");
}

SealerCore::~SealerCore() = default;

void SealerCore::Start(std::vector<NodeRecord> live, absl::Time now, Outbox& out) {
  live_ = std::move(live);
  AskForFences(now, out);
}

void SealerCore::AskForFences(absl::Time now, Outbox& out) {
  asked_at_ = now;
  for (const Replica& replica : sealed().replicas) {
    if (answers_.contains(replica.node) || distrusted_.contains(replica.node)) continue;
    out.Send(replica.node,
             FenceRequest{{partition_, sealed().epoch}, replica.incarnation, fence()});
  }
}

void SealerCore::OnFenceReply(const NodeId& from, const FenceReply& reply, absl::Time now,
                              Outbox& out) {
  if (reply.segment != SegmentKey{partition_, sealed().epoch} || reply.fence != fence() ||
      phase_ != Phase::kFencing || distrusted_.contains(from)) {
    return;
  }
  switch (reply.answer) {
    case ReplicaAnswer::kFenced:
      phase_ = Phase::kFenced;
      return;
    case ReplicaAnswer::kLimbo:  // limbo-unknown: no answer
      limbo_.insert(from);
      return;
    case ReplicaAnswer::kFailed:
    case ReplicaAnswer::kFull:
      return;
    case ReplicaAnswer::kNotOpen:
      answers_[from] = {false, sealed().base, sealed().base, false};
      break;
    case ReplicaAnswer::kHolds:
      answers_[from] = {true, reply.start, reply.tail, reply.damaged};
      break;
  }
  DecideEnd(now, out);
}

// Step 3: once the answers form a seal quorum, the end is the highest offset that an ack quorum can
// hold, counting every replica that did not answer as holding everything.
void SealerCore::DecideEnd(absl::Time now, Outbox& out) {
  const std::vector<Replica>& replicas = sealed().replicas;
  ReplicaMask answered = 0;
  Offset highest = sealed().base;
  std::vector<Offset> tails;
  for (size_t i = 0; i < replicas.size(); i++) {
    const auto found = answers_.find(replicas[i].node);
    const bool has = found != answers_.end();
    if (has) answered |= ReplicaMask{1} << i;
    if (has) highest = std::max(highest, found->second.tail);
    tails.push_back(has ? found->second.tail : Offset(UINT64_MAX));
  }
  if (!IsSealQuorum(sealed().rule, replicas, answered)) return;
  end_ = std::min(highest, HighestAckedOffset(sealed().rule, replicas, tails).value_or(highest));
  end_ = std::max(end_, sealed().base);
  phase_ = Phase::kCopying;
  for (const Replica& replica : replicas) {
    const auto found = answers_.find(replica.node);
    if (found == answers_.end() || found->second.tail < end_) continue;
    if (found->second.damaged) continue;  // damage-no-holder: it is asked for a copy like others
    if (found->second.open || !MustKeep()) Hold(replica);
  }
  CopyWhereNeeded(now, out);
  CheckCopies(now, out);
}

std::string SealerCore::WaitsFor() const {
  if (phase_ != Phase::kFencing) {
    return absl::StrCat("what it holds up to offset ", end_.value(), " has to be copied to ",
                        sealed().rule.ack_copies, " nodes in ", sealed().rule.ack_zones,
                        " zones first, this one among them");
  }
  std::string replicas;
  for (const Replica& replica : sealed().replicas) {
    absl::StrAppend(&replicas, replicas.empty() ? "" : ", ", replica.node.value(),
                    answers_.contains(replica.node)      ? " answered"
                    : limbo_.contains(replica.node)      ? " has lost its disk"
                    : distrusted_.contains(replica.node) ? " cannot read what it holds"
                                                         : " does not answer");
  }
  return absl::StrCat("too few of its replicas can say what was acknowledged (", replicas,
                      "): bring back those that do not answer, with their disks");
}

std::vector<NodeId> SealerCore::Sources() const {
  std::vector<NodeId> sources;
  for (const Replica& holder : holders_) {
    if (holder.node == self_.id) sources.insert(sources.begin(), holder.node);
    if (holder.node != self_.id) sources.push_back(holder.node);
  }
  return sources;
}

// An empty segment with nothing before it in the chain: only its snapshot tells about producers.
bool SealerCore::MustKeep() const {
  return chain_.segments.size() == 1 && sealed().base > Offset();
}

void SealerCore::Hold(const Replica& replica) {
  if (IndexOf(holders_, replica.node) < 0) holders_.push_back(replica);
}

bool SealerCore::HoldersSuffice() const {
  return IndexOf(holders_, self_.id) >= 0 && IsAckQuorum(sealed().rule, holders_, AllOf(holders_));
}

// Step 4: to any live nodes, members or not, this node first because it is to serve what it owns.
void SealerCore::CopyWhereNeeded(absl::Time now, Outbox& out) {
  std::vector<NodeRecord> order = live_;
  std::stable_sort(order.begin(), order.end(), [&](const NodeRecord& a, const NodeRecord& b) {
    const auto rank = [&](const NodeRecord& node) {
      if (node.id == self_.id) return 0;
      if (IndexOf(sealed().replicas, node.id) >= 0) return 1;
      return node.disk_full ? 3 : 2;
    };
    return rank(a) < rank(b);
  });
  std::vector<Replica> hoped = holders_;
  for (const NodeRecord& node : order) {
    const Replica target{node.id, node.incarnation, node.zone};
    const bool member = IndexOf(sealed().replicas, node.id) >= 0;
    const bool enough = IsAckQuorum(sealed().rule, hoped, AllOf(hoped));
    if (node.id != self_.id && !member && enough) break;
    if (IndexOf(hoped, node.id) >= 0) continue;
    hoped.push_back(target);
    if (copiers_.contains(node.id)) continue;
    const CopyTask task{
        {partition_, sealed().epoch}, sealed().base, end_, fence(), chain_version_, MustKeep()};
    request_ += kRequestsPerReader;
    auto& copier = copiers_[node.id] =
        std::make_unique<SegmentCopier>(task, target, Sources(), request_);
    copier->Start(now, out);
  }
}

void SealerCore::CheckCopies(absl::Time now, Outbox& out) {
  if (phase_ != Phase::kCopying) return;
  for (auto& [node, copier] : copiers_) {
    if (copier->state() == SegmentCopier::State::kHolds) Hold(copier->target());
    if (copier->state() == SegmentCopier::State::kFenced) {
      phase_ = Phase::kFenced;
      return;
    }
    if (const auto bad = copier->TakeFailedSource(); bad.has_value()) {
      StartOver(*bad, now, out);
      return;
    }
  }
  if (HoldersSuffice()) BeginLoading(now, out);
}

// A source died or could not serve a block: it counts as unknown, and the end is decided anew.
void SealerCore::StartOver(const NodeId& bad_source, absl::Time now, Outbox& out) {
  distrusted_.insert(bad_source);
  answers_.erase(bad_source);
  holders_.clear();
  copiers_.clear();
  loader_.reset();
  phase_ = Phase::kFencing;
  AskForFences(now, out);
  DecideEnd(now, out);
}

void SealerCore::BeginLoading(absl::Time now, Outbox& out) {
  phase_ = Phase::kLoading;
  SegmentKey from{partition_, sealed().epoch};
  Offset end = end_;
  std::vector<NodeId> sources;
  for (const NodeId& node : Sources()) {
    const auto answer = answers_.find(node);
    const bool copied = copiers_.contains(node) && (end_ > sealed().base || MustKeep());
    if (copied || (answer != answers_.end() && answer->second.open)) sources.push_back(node);
  }
  if (sources.empty()) {
    // Nobody has opened the segment, so the one before it is still in the chain.
    if (chain_.segments.size() == 1) {
      FOREBAY_CHECK(sealed().base == Offset(), "the producers' table of a trimmed chain is gone");
      phase_ = Phase::kReady;
      return;
    }
    const Segment& before = chain_.segments[chain_.segments.size() - 2];
    from.epoch = before.epoch;
    end = *before.end;
    for (const Replica& replica : before.replicas) {
      const bool self = replica.node == self_.id;
      sources.insert(self ? sources.begin() : sources.end(), replica.node);
    }
  }
  request_ += kRequestsPerReader;
  loader_ = std::make_unique<TableLoader>(from, end, std::move(sources), request_);
  loader_->Start(now, out);
}

void SealerCore::OnCopyReply(const NodeId& from, const CopyReply& reply, absl::Time now,
                             Outbox& out) {
  const auto found = copiers_.find(from);
  if (found == copiers_.end()) return;
  found->second->OnCopyReply(from, reply, now, out);
  CheckCopies(now, out);
}

void SealerCore::OnFetchReply(const NodeId& from, const FetchReply& reply, absl::Time now,
                              Outbox& out) {
  for (auto& [node, copier] : copiers_) copier->OnFetchReply(from, reply, now, out);
  CheckCopies(now, out);
  if (phase_ != Phase::kLoading) return;
  loader_->OnFetchReply(from, reply, now, out);
  if (loader_->done()) {
    table_ = loader_->table();
    phase_ = Phase::kReady;
  }
}

void SealerCore::OnTick(const std::vector<NodeRecord>& live, absl::Time now, Outbox& out) {
  if (live_ != live) live_ = live;  // it seldom changes, and there may be a thousand
  if (phase_ == Phase::kFencing && now - asked_at_ >= kAskAgainAfter) {
    // One that could not serve before may have recovered; it has to answer anew.
    distrusted_.clear();
    AskForFences(now, out);
  }
  if (phase_ == Phase::kCopying) {
    CopyWhereNeeded(now, out);
    for (auto& [node, copier] : copiers_) copier->OnTick(now, out);
    CheckCopies(now, out);
  }
  if (phase_ == Phase::kLoading) loader_->OnTick(now, out);
}

Chain SealerCore::Proposal(Segment open) const {
  FOREBAY_CHECK(phase_ == Phase::kReady && HoldersSuffice(), "copy-first");
  Chain chain = chain_;
  open.epoch = fence();
  open.base = end_;
  open.end.reset();
  open.owner = self_.id;
  open.owner_life = self_.life;
  if (end_ == sealed().base && !MustKeep()) {
    chain.segments.pop_back();  // an empty segment is replaced
  } else {
    chain.segments.back().end = end_;
    chain.segments.back().replicas = holders_;
  }
  chain.segments.push_back(std::move(open));
  return chain;
}

ProducerTable SealerCore::TakeTable() { return std::move(table_); }

std::vector<StoredBlock> SealerCore::TakeRecent() {
  return loader_ == nullptr ? std::vector<StoredBlock>() : loader_->TakeRecent();
}

}  // namespace forebay
