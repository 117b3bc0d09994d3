#include "replication/core/stage_tracker.h"

#include <algorithm>

namespace forebay {

OwnerStages OwnerStageCounters::Read() const {
  OwnerStages stages;
  for (size_t i = 0; i < counters_.size(); ++i) stages.all()[i] = counters_[i].Read();
  return stages;
}

void StageTracker::OnReach(const OwnerReach& reach, absl::Time now, OwnerStageCounters& counters) {
  for (; sent_ < blocks_.size() && blocks_[sent_].end <= reach.sent; ++sent_) {
    blocks_[sent_].sent = now;
    counters.Add(OwnerStage::kQueue, now - blocks_[sent_].arrived);
  }
  for (; own_ < sent_ && blocks_[own_].end <= reach.own; ++own_) {
    counters.Add(OwnerStage::kCommit, now - blocks_[own_].sent);
  }
  for (; mirrored_ < sent_ && blocks_[mirrored_].end <= reach.mirrored; ++mirrored_) {
    counters.Add(OwnerStage::kMirror, now - blocks_[mirrored_].sent);
  }
  for (; committed_ < sent_ && blocks_[committed_].end <= reach.committed; ++committed_) {
    counters.Add(OwnerStage::kOwner, now - blocks_[committed_].arrived);
  }
  const size_t done = std::min({own_, mirrored_, committed_});
  blocks_.erase(blocks_.begin(), blocks_.begin() + static_cast<std::ptrdiff_t>(done));
  for (size_t* const count : {&sent_, &own_, &mirrored_, &committed_}) *count -= done;
}

}  // namespace forebay
