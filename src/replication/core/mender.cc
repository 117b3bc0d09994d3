#include "replication/core/mender.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

constexpr uint64_t kRequestsPerReader = uint64_t{1} << 32;
// Every other replica is there and none could give it: so long it is tried before it is given up.
constexpr absl::Duration kGiveUpAfter = absl::Seconds(3);
constexpr absl::Duration kRetryAfter = absl::Seconds(10);

}  // namespace

MendCore::MendCore(PartitionId partition, NodeId self, uint64_t request)
    : partition_(std::move(partition)), self_(std::move(self)), request_(request) {}

std::vector<NodeId> MendCore::Sources(Epoch epoch, const RepairView& view) const {
  std::vector<NodeId> sources;
  const Segment* segment = FindSegment(view.chain, epoch);
  for (const Replica& replica : segment->replicas) {
    if (replica.node == self_) continue;
    for (const RepairNode& node : view.nodes) {
      if (node.record.id == replica.node && node.alive &&
          node.record.incarnation == replica.incarnation) {
        sources.push_back(replica.node);
      }
    }
  }
  return sources;
}

ReplicaCore::Writes MendCore::Survey(const RepairView& view, ReplicaCore& replica, absl::Time now,
                                     Outbox& out) {
  std::erase_if(mending_, [&](const auto& item) {
    return !replica.damaged().contains(item.first) ||
           FindSegment(view.chain, item.first.epoch) == nullptr;
  });
  ReplicaCore::Writes writes;
  // Copies that no segment names are of no use to anyone, and are deleted.
  for (const Segment& segment : view.chain.segments) {
    const SegmentKey key{partition_, segment.epoch};
    if (segment.end.has_value()) replica.Forget(key, *segment.end);
    if (!replica.damaged().contains(key)) continue;
    for (WalWrite& write : Mend(segment, view, replica, now, out)) {
      writes.push_back(std::move(write));
    }
    if (!writes.empty()) break;  // they are one batch of the replica core's
  }
  return writes;
}

ReplicaCore::Writes MendCore::Mend(const Segment& segment, const RepairView& view,
                                   ReplicaCore& replica, absl::Time now, Outbox& out) {
  const SegmentKey key{partition_, segment.epoch};
  const auto [at, is_new] = mending_.try_emplace(key);
  Mending& mending = at->second;
  if (is_new) mending.since = now;
  if (mending.retry_at.has_value()) {
    if (now < *mending.retry_at) return {};
    replica.Retry(key);
    mending = Mending{.since = now};
  }
  if (mending.copier != nullptr) {
    if (const auto bad = mending.copier->TakeFailedSource()) mending.failed.insert(*bad);
    if (mending.copier->state() != SegmentCopier::State::kRunning) mending.block.reset();
  }
  const auto extent = replica.DurableExtent(key);
  if (!extent.has_value()) return {};
  const DamagedSegment& damage = replica.damaged().at(key);
  const Offset first = damage.snapshot ? extent->start : *damage.blocks.begin();
  if (mending.block != first) CopyBlock({key, first}, view, replica, now, out);
  ReplicaCore::Writes writes;
  if (damage.snapshot) writes = LoadSnapshot({key, extent->start}, view, replica, now, out);
  const bool all_there = Sources(segment.epoch, view).size() + 1 >= segment.replicas.size();
  const bool all_failed = damage.snapshot || mending.failed.size() + 1 >= segment.replicas.size();
  if (all_there && all_failed && now - mending.since > kGiveUpAfter && writes.empty()) {
    warnings_.push_back(
        absl::StrCat("no replica could give ", damage.snapshot ? "the snapshot" : "offset ",
                     damage.snapshot ? "" : absl::StrCat(first.value()), " of ", key.ToString(),
                     ", which is damaged here: trying again in ", absl::FormatDuration(kRetryAfter),
                     ". What cannot be read is not delivered; see OPERATIONS.md"));
    replica.GiveUp(key);
    mending = Mending{.since = now, .retry_at = now + kRetryAfter};
  }
  return writes;
}

// A copy to this very node: its replica core says that it holds the segment up to the damage, and
// writes what comes over it.
void MendCore::CopyBlock(const Spot& block, const RepairView& view, const ReplicaCore& replica,
                         absl::Time now, Outbox& out) {
  Mending& mending = mending_.at(block.segment);
  mending.block = block.at;
  request_ += kRequestsPerReader;
  const Epoch fence = std::max(replica.FenceOf(partition_), block.segment.epoch);
  const CopyTask task{block.segment, block.at, block.at + 1, fence, view.chain_version, false};
  mending.copier = std::make_unique<SegmentCopier>(task, Replica{self_, replica.incarnation(), {}},
                                                   Sources(block.segment.epoch, view), request_);
  mending.copier->Start(now, out);
}

ReplicaCore::Writes MendCore::LoadSnapshot(const Spot& start, const RepairView& view,
                                           ReplicaCore& replica, absl::Time now, Outbox& out) {
  const SegmentKey& key = start.segment;
  Mending& mending = mending_.at(key);
  if (mending.loader != nullptr && mending.start == start.at) {
    if (!mending.loader->done()) return {};
    const std::string snapshot = mending.loader->table().Encode(1);  // any build reads it
    mending.loader.reset();
    return replica.RestoreSnapshot(key, start.at, snapshot);
  }
  mending.start = start.at;
  request_ += kRequestsPerReader;
  mending.loader = std::make_unique<TableLoader>(key, start.at, Sources(key.epoch, view), request_);
  mending.loader->Start(now, out);
  return {};
}

void MendCore::OnCopyReply(const NodeId& from, const CopyReply& reply, absl::Time now,
                           Outbox& out) {
  const auto found = mending_.find(reply.segment);
  if (found == mending_.end() || found->second.copier == nullptr) return;
  found->second.copier->OnCopyReply(from, reply, now, out);
}

void MendCore::OnFetchReply(const NodeId& from, const FetchReply& reply, absl::Time now,
                            Outbox& out) {
  const auto found = mending_.find(reply.segment);
  if (found == mending_.end()) return;
  if (found->second.copier != nullptr) found->second.copier->OnFetchReply(from, reply, now, out);
  if (found->second.loader != nullptr) found->second.loader->OnFetchReply(from, reply, now, out);
}

void MendCore::OnTick(absl::Time now, Outbox& out) {
  for (auto& [key, mending] : mending_) {
    if (mending.copier != nullptr) mending.copier->OnTick(now, out);
    if (mending.loader != nullptr) mending.loader->OnTick(now, out);
  }
}

}  // namespace forebay
