// ReplicaCore: what is known to be damaged, and how it is written again (docs/decisions/0022).
#include <algorithm>
#include <iterator>

#include "replication/core/replica.h"

namespace forebay {

bool ReplicaCore::OnDamage(const SegmentKey& key, const Damage& damage) {
  const auto found = segments_.find(key);
  if (found == segments_.end()) return false;
  const SegmentState& state = found->second;
  if (!damage.block.has_value()) {
    return !std::exchange(damaged_[key].snapshot, true);
  }
  if (*damage.block < state.start || *damage.block >= state.next) return false;
  return damaged_[key].blocks.insert(*damage.block).second;
}

void ReplicaCore::GiveUp(const SegmentKey& key) {
  if (const auto found = damaged_.find(key); found != damaged_.end()) found->second.given_up = true;
}

void ReplicaCore::Retry(const SegmentKey& key) {
  if (const auto found = damaged_.find(key); found != damaged_.end()) {
    found->second.given_up = false;
  }
}

void ReplicaCore::Forget(const SegmentKey& key, Offset from) {
  const auto found = damaged_.find(key);
  if (found == damaged_.end()) return;
  std::set<Offset>& blocks = found->second.blocks;
  blocks.erase(blocks.lower_bound(from), blocks.end());
  if (from == Offset()) found->second.snapshot = false;
  if (blocks.empty() && !found->second.snapshot) damaged_.erase(found);
}

ReplicaCore::Writes ReplicaCore::RestoreSnapshot(const SegmentKey& key, Offset start,
                                                 std::string snapshot) {
  const auto found = segments_.find(key);
  const auto damage = damaged_.find(key);
  if (found == segments_.end() || damage == damaged_.end() || !damage->second.snapshot ||
      found->second.start != start) {
    return {};
  }
  pending_.push_back({key, 0, std::nullopt, std::nullopt, {Damage{}}});
  return {forebay::RestoreSnapshot{key, start, std::move(snapshot)}};
}

void ReplicaCore::Restore(const SegmentKey& key, Offset first, const Block& block, Writes& writes) {
  const auto damage = damaged_.find(key);
  if (damage == damaged_.end()) return;
  const std::set<Offset>& blocks = damage->second.blocks;
  const auto at = blocks.lower_bound(first);
  if (at == blocks.end() || *at >= first + block.event_count()) return;
  writes.push_back(RestoreBlock{key, first, block});
  restoring_.push_back({*at});
}

void ReplicaCore::TrimDamaged(const SegmentKey& key, Offset start,
                              const std::optional<std::string>& snapshot, Writes& writes) {
  const auto damage = damaged_.find(key);
  const auto found = segments_.find(key);
  if (!snapshot.has_value() || damage == damaged_.end() || found == segments_.end()) return;
  SegmentState& state = found->second;
  const DamagedSegment& what = damage->second;
  const bool below = what.snapshot || (!what.blocks.empty() && *what.blocks.begin() < start);
  if (!below || start <= state.start || start > state.durable.value_or(state.start)) return;
  state.start = start;
  writes.push_back(TrimSegment{key, start, *snapshot});
  if (what.snapshot) restoring_.push_back({});
  for (const Offset block : what.blocks) {
    if (block < start) restoring_.push_back({block});
  }
}

std::optional<Offset> ReplicaCore::FirstDamage(const SegmentKey& key) const {
  const auto damage = damaged_.find(key);
  if (damage == damaged_.end() || damage->second.given_up) return std::nullopt;
  if (damage->second.snapshot) {
    const auto found = segments_.find(key);
    return found == segments_.end() ? Offset() : found->second.start;
  }
  return *damage->second.blocks.begin();
}

void ReplicaCore::FinishRestored(const SegmentKey& key, const std::vector<Damage>& restored) {
  for (const Damage& one : restored) {
    const auto found = damaged_.find(key);
    if (found == damaged_.end()) return;
    const bool there = one.block.has_value() ? found->second.blocks.erase(*one.block) > 0
                                             : std::exchange(found->second.snapshot, false);
    if (there) restored_.emplace_back(key, one);
    if (found->second.blocks.empty() && !found->second.snapshot) damaged_.erase(found);
  }
}

}  // namespace forebay
