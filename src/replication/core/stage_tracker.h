// StageTracker: follows an owner's blocks through OwnerStage. Pure: it is told the time.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "base/stage_counter.h"
#include "forebay/ids.h"
#include "replication/core/owner_stages.h"

namespace forebay {

// How far an owner's blocks have come; each only grows, but for a roll.
struct OwnerReach {
  Offset sent;       // to some replica
  Offset own;        // durable in the owner's own store
  Offset mirrored;   // an ack quorum if the own store counts as holding everything
  Offset committed;  // at most mirrored
};

// Any thread may read.
class OwnerStageCounters {
 public:
  void Add(OwnerStage stage, absl::Duration time) {
    counters_[static_cast<size_t>(stage)].Add(time);
  }
  OwnerStages Read() const;

 private:
  std::array<StageCounter, kOwnerStageNames.size()> counters_;
};

// Of one partition, for as long as it has the same owner. Confined to one executor.
class StageTracker {
 public:
  // A block that ends there was given its offsets.
  void OnAppended(Offset end, absl::Time arrived) { blocks_.push_back({end, arrived, arrived}); }
  void OnReach(const OwnerReach& reach, absl::Time now, OwnerStageCounters& counters);
  // Nothing is under way.
  bool empty() const { return blocks_.empty(); }

 private:
  struct Block {
    Offset end;
    absl::Time arrived;
    absl::Time sent;
  };

  // Not through every stage, oldest first. Mostly empty, and then a deque takes 600 bytes.
  std::vector<Block> blocks_;
  // How many of blocks_ have come through each.
  size_t sent_ = 0, own_ = 0, mirrored_ = 0, committed_ = 0;
};

}  // namespace forebay
