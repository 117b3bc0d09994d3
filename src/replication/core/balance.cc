#include "replication/core/balance.h"

#include <algorithm>

namespace forebay {

OwnerBalance::OwnerBalance(absl::Span<const NodeRecord> nodes,
                           const std::vector<const Segment*>& open) {
  for (const NodeRecord& node : nodes) loads_[node.id] = {};
  if (loads_.empty()) return;
  size_t owned = 0;
  for (const Segment* segment : open) {
    const auto owner = loads_.find(segment->owner);
    if (owner == loads_.end()) continue;
    owner->second.owned++;
    owned++;
  }
  share_ = (owned + loads_.size() - 1) / loads_.size();
  fewest_ = std::min_element(loads_.begin(), loads_.end(), [](const auto& a, const auto& b) {
              return a.second.owned < b.second.owned;
            })->second.owned;
  for (const Segment* segment : open) {
    if (!IsHeavy(segment->owner)) continue;
    const size_t from = loads_.at(segment->owner).owned;
    for (const Replica& replica : segment->replicas) {
      const auto to = loads_.find(replica.node);
      if (to != loads_.end() && IsUneven(from, to->second.owned)) to->second.offers++;
    }
  }
}

// A hand-over between nodes that differ by one would only swap them.
bool OwnerBalance::IsUneven(size_t from, size_t to) {
  return from > to + std::max<size_t>(1, from / 10);
}

bool OwnerBalance::IsHeavy(const NodeId& node) const {
  const auto found = loads_.find(node);
  return found != loads_.end() && IsUneven(found->second.owned, fewest_);
}

double OwnerBalance::Chance(const NodeId& from, const NodeId& to) const {
  const auto heavy = loads_.find(from), light = loads_.find(to);
  if (heavy == loads_.end() || light == loads_.end()) return 0;
  const Load& load = light->second;
  if (!IsUneven(heavy->second.owned, load.owned)) return 0;
  // Half of what it lacks in each round, of all who offer; one that has its share takes one.
  const size_t lacks = share_ > load.owned ? share_ - load.owned : 1;
  return std::min(
      1.0, static_cast<double>(lacks) / 2 / static_cast<double>(std::max<size_t>(1, load.offers)));
}

}  // namespace forebay
