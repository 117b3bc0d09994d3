#include "replication/core/replica.h"

#include <algorithm>

#include "base/check.h"

namespace forebay {
namespace {

// Checksums kept per segment to tell a repeated block from a different one at its offset.
constexpr size_t kRecentBlocks = 64;

}  // namespace

ReplicaCore::ReplicaCore(NodeId self, Incarnation incarnation, const WalContent& content)
    : self_(std::move(self)), incarnation_(incarnation) {
  for (const auto& [key, extent] : content.segments) {
    segments_[key] = {extent.start, extent.tail, extent.tail, {}, 0};
  }
  for (const auto& [partition, fence] : content.fences) partitions_[partition].fence = fence;
}

ReplicaCore::Writes ReplicaCore::OnMirror(const NodeId& from, const MirrorRequest& request,
                                          Outbox& out) {
  const SegmentKey& key = request.segment;
  Writes writes;
  if (request.incarnation != incarnation_) {  // limbo-refuses
    out.Send(from, Refuse(request, ReplicaAnswer::kLimbo));
    return writes;
  }
  // fence-check, fenced-silent: nothing is taken, nor said to be here.
  if (FenceOf(key.partition) > key.epoch) {
    out.Send(from, Refuse(request, ReplicaAnswer::kFenced));
    return writes;
  }
  if (Differs(key, request.first, request.blocks)) {
    out.Send(from, Refuse(request, ReplicaAnswer::kFailed));
    return writes;
  }
  SegmentState* state = OpenAt(key, request.open_snapshot, request.base, writes);
  if (state == nullptr) {
    out.Send(from, Refuse(request, ReplicaAnswer::kNotOpen));
    return writes;
  }
  const bool no_room = HasNoRoomFor(*state, request.first, request.blocks);
  if (!no_room) Accept(key, *state, request.first, request.blocks, writes);
  Answer(
      from, key,
      MirrorReply{
          key, no_room ? ReplicaAnswer::kFull : ReplicaAnswer::kHolds, {}, {}, {}, request.round},
      writes, out);
  return writes;
}

ReplicaCore::Writes ReplicaCore::OnFence(const NodeId& from, const FenceRequest& request,
                                         Outbox& out) {
  const SegmentKey& key = request.segment;
  FenceReply reply{key, request.fence, ReplicaAnswer::kHolds, {}, {}, {}};
  if (request.incarnation != incarnation_) {  // limbo-unknown
    reply.answer = ReplicaAnswer::kLimbo;
    out.Send(from, reply);
    return {};
  }
  PartitionState& partition = partitions_[key.partition];
  if (partition.fence > request.fence) {
    reply.answer = ReplicaAnswer::kFenced;
    reply.higher = partition.fence;
    out.Send(from, reply);
    return {};
  }
  partition.fence = request.fence;
  // Written even if it stands already: the answer has to wait until all that was accepted before
  // is durable (fence-order), and this write comes after all of that.
  Writes writes{RaiseFence{key.partition, request.fence}};
  Answer(from, key, reply, writes, out);
  return writes;
}

ReplicaCore::Writes ReplicaCore::OnCopy(const NodeId& from, const CopyRequest& request,
                                        Outbox& out) {
  const SegmentKey& key = request.segment;
  CopyReply reply{key, request.fence, ReplicaAnswer::kHolds, {}, {}, request.chain_version};
  PartitionState& partition = partitions_[key.partition];
  const bool limbo = request.incarnation != incarnation_;
  const bool fenced = partition.fence > request.fence;
  if (limbo || fenced || Differs(key, request.first, request.blocks)) {
    reply.answer = limbo    ? ReplicaAnswer::kLimbo
                   : fenced ? ReplicaAnswer::kFenced
                            : ReplicaAnswer::kFailed;
    reply.higher = partition.fence;
    out.Send(from, reply);
    return {};
  }
  partition.wanted = std::max(partition.wanted, request.chain_version);
  partition.fence = request.fence;
  Writes writes{RaiseFence{key.partition, request.fence}};  // repair-fences
  TrimDamaged(key, request.first, request.open_snapshot, writes);
  SegmentState* state = OpenAt(key, request.open_snapshot, request.first, writes);
  if (state != nullptr && HasNoRoomFor(*state, request.first, request.blocks)) {
    reply.answer = ReplicaAnswer::kFull;
  } else if (state != nullptr) {
    Accept(key, *state, request.first, request.blocks, writes);
  }
  Answer(from, key, reply, writes, out);
  return writes;
}

void ReplicaCore::OnDurable(Outbox& out) {
  FOREBAY_CHECK(!pending_.empty(), "a batch became durable that nobody wrote");
  Pending done = std::move(pending_.front());
  pending_.pop_front();
  const auto found = segments_.find(done.segment);
  if (done.tail.has_value() && found != segments_.end() &&
      found->second.generation == done.generation) {
    SegmentState& state = found->second;
    state.durable = std::max(state.durable.value_or(state.start), *done.tail);
  }
  FinishRestored(done.segment, done.restored);
  if (!done.reply.has_value()) return;
  auto& [to, reply] = *done.reply;
  // fence-check: a block accepted before the fence is durable by now, but is not reported.
  if (auto* mirror = std::get_if<MirrorReply>(&reply);
      mirror != nullptr && FenceOf(done.segment.partition) > done.segment.epoch) {
    mirror->answer = ReplicaAnswer::kFenced;
    mirror->fence = FenceOf(done.segment.partition);
  } else {
    FillIn(done.segment, reply);
  }
  out.Send(to, std::move(reply));
}

ReplicaCore::Writes ReplicaCore::OnChain(const PartitionId& partition, uint64_t version,
                                         const Chain& chain) {
  PartitionState& state = partitions_[partition];
  if (!state.first_version.has_value()) state.first_version = version;
  Writes writes;
  if (version <= state.wanted || version <= *state.first_version || chain.segments.empty()) {
    return writes;
  }
  for (const SegmentKey& key : SegmentsOf(partition)) {
    if (key.epoch > chain.segments.back().epoch) continue;  // opened after this chain was read
    bool named = false;
    for (const Segment& segment : chain.segments) {
      named |= segment.epoch == key.epoch &&
               std::any_of(segment.replicas.begin(), segment.replicas.end(),
                           [&](const Replica& replica) { return replica.node == self_; });
    }
    if (named) continue;
    segments_.erase(key);
    damaged_.erase(key);
    writes.push_back(DropSegment{key});
  }
  if (!writes.empty())
    pending_.push_back({SegmentKey{partition, {}}, 0, std::nullopt, std::nullopt});
  return writes;
}

ReplicaCore::Writes ReplicaCore::Trim(const SegmentKey& key, Offset start_before, Offset start,
                                      std::string snapshot) {
  const auto found = segments_.find(key);
  if (found == segments_.end() || found->second.start != start_before || start <= start_before ||
      start > found->second.durable.value_or(start_before)) {
    return {};
  }
  found->second.start = start;
  if (const auto damage = damaged_.find(key); damage != damaged_.end()) {
    std::erase_if(damage->second.blocks, [&](Offset block) { return block < start; });
    if (damage->second.blocks.empty() && !damage->second.snapshot) damaged_.erase(damage);
  }
  pending_.push_back({key, 0, std::nullopt, std::nullopt});
  return {TrimSegment{key, start, std::move(snapshot)}};
}

std::optional<SegmentExtent> ReplicaCore::DurableExtent(const SegmentKey& key) const {
  const auto found = segments_.find(key);
  if (found == segments_.end() || !found->second.durable.has_value()) return std::nullopt;
  return SegmentExtent{found->second.start, *found->second.durable};
}

Epoch ReplicaCore::FenceOf(const PartitionId& partition) const {
  const auto found = partitions_.find(partition);
  return found == partitions_.end() ? Epoch() : found->second.fence;
}

std::vector<SegmentKey> ReplicaCore::SegmentsOf(const PartitionId& partition) const {
  std::vector<SegmentKey> keys;
  for (auto at = segments_.lower_bound({partition, Epoch()});
       at != segments_.end() && at->first.partition == partition; ++at) {
    keys.push_back(at->first);
  }
  return keys;
}

std::vector<SegmentKey> ReplicaCore::AllSegments() const {
  std::vector<SegmentKey> keys;
  for (const auto& [key, state] : segments_) keys.push_back(key);
  return keys;
}

ReplicaCore::SegmentState* ReplicaCore::OpenAt(const SegmentKey& key,
                                               const std::optional<std::string>& snapshot,
                                               Offset start, Writes& writes) {
  const auto found = segments_.find(key);
  if (found != segments_.end() && (!snapshot.has_value() || start <= found->second.next)) {
    return &found->second;
  }
  if (!snapshot.has_value()) return nullptr;
  if (found != segments_.end()) writes.push_back(DropSegment{key});
  damaged_.erase(key);
  writes.push_back(OpenSegment{key, start, *snapshot});
  return &(segments_[key] = SegmentState{start, start, std::nullopt, {}, ++generations_});
}

void ReplicaCore::Accept(const SegmentKey& key, SegmentState& state, Offset first,
                         const std::vector<Block>& blocks, Writes& writes) {
  for (const Block& block : blocks) {
    if (first > state.next) return;  // contiguous: what comes before has to come first
    if (first < state.next) Restore(key, first, block, writes);
    if (first == state.next) {
      writes.push_back(AppendBlock{key, first, block});
      state.next = first + block.event_count();
      state.recent.emplace_back(first, block.checksum());
      if (state.recent.size() > kRecentBlocks) state.recent.erase(state.recent.begin());
    }
    first = first + block.event_count();
  }
}

bool ReplicaCore::Differs(const SegmentKey& key, Offset first,
                          const std::vector<Block>& blocks) const {
  const auto found = segments_.find(key);
  if (found == segments_.end() || first >= found->second.next) return false;
  for (const Block& block : blocks) {
    for (const auto& [offset, checksum] : found->second.recent) {
      if (offset == first && checksum != block.checksum()) return true;
    }
    first = first + block.event_count();
  }
  return false;
}

bool ReplicaCore::HasNoRoomFor(const SegmentState& state, Offset first,
                               const std::vector<Block>& blocks) const {
  if (!full_) return false;
  for (const Block& block : blocks) first = first + block.event_count();
  return first > state.next && !blocks.empty();
}

void ReplicaCore::Answer(const NodeId& to, const SegmentKey& key, Message reply,
                         const Writes& writes, Outbox& out) {
  if (writes.empty()) {
    FillIn(key, reply);
    out.Send(to, std::move(reply));
    return;
  }
  const auto found = segments_.find(key);
  Pending pending{key, 0, std::nullopt, std::pair(to, std::move(reply)),
                  std::exchange(restoring_, {})};
  if (found != segments_.end()) {
    pending.generation = found->second.generation;
    pending.tail = found->second.next;
  }
  pending_.push_back(std::move(pending));
}

void ReplicaCore::FillIn(const SegmentKey& key, Message& reply) const {
  const auto found = segments_.find(key);
  const bool open = found != segments_.end() && found->second.durable.has_value();
  const Offset start = open ? found->second.start : Offset();
  const Offset tail = open ? *found->second.durable : Offset();
  const auto answer = [open](ReplicaAnswer planned) {
    if (!open) return ReplicaAnswer::kNotOpen;
    return planned == ReplicaAnswer::kFull ? planned : ReplicaAnswer::kHolds;
  };
  if (auto* mirror = std::get_if<MirrorReply>(&reply)) {
    mirror->answer = answer(mirror->answer);
    mirror->tail = tail;
    mirror->next = found == segments_.end() ? Offset() : found->second.next;
  } else if (auto* fence = std::get_if<FenceReply>(&reply)) {
    fence->answer = answer(fence->answer);
    fence->start = start;
    fence->tail = tail;
    fence->damaged = FirstDamage(key).has_value();  // damage-told
  } else if (auto* copy = std::get_if<CopyReply>(&reply)) {
    copy->answer = answer(copy->answer);
    // damage-not-whole: a copy with a hole must not be what others are given up for.
    copy->extent = {start, std::min(tail, FirstDamage(key).value_or(tail))};
  }
}

MirrorReply ReplicaCore::Refuse(const MirrorRequest& request, ReplicaAnswer answer) const {
  return {request.segment, answer, {}, {}, FenceOf(request.segment.partition)};
}

}  // namespace forebay
