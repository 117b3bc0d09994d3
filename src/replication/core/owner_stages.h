// Where a block's time goes on its owner, from when it arrives until it is committed.
#pragma once

#include <array>
#include <cstddef>

#include "forebay/stats.h"

namespace forebay {

// Commit and mirror begin at the same time, and a block is committed when both are over (or when
// other replicas alone make an ack quorum).
enum class OwnerStage {
  kQueue,   // arrived -> handed to the store and the mirrors
  kCommit,  // handed over -> durable in the owner's own store
  kMirror,  // handed over -> durable on as many other replicas as an ack quorum takes besides it
  kOwner,   // arrived -> committed
};
inline constexpr std::array<const char*, 4> kOwnerStageNames = {"queue", "commit", "mirror",
                                                                "owner"};

class OwnerStages {
 public:
  StageStats& operator[](OwnerStage stage) { return stats_[static_cast<size_t>(stage)]; }
  const StageStats& operator[](OwnerStage stage) const {
    return stats_[static_cast<size_t>(stage)];
  }
  // By kOwnerStageNames.
  std::array<StageStats, kOwnerStageNames.size()>& all() { return stats_; }
  const std::array<StageStats, kOwnerStageNames.size()>& all() const { return stats_; }

 private:
  std::array<StageStats, kOwnerStageNames.size()> stats_;
};

}  // namespace forebay
