// Where a block's time goes on its owner.
#include "replication/core/stage_tracker.h"

#include <gtest/gtest.h>

namespace forebay {
namespace {

class StageTrackerTest : public ::testing::Test {
 protected:
  void Append(uint64_t end) { tracker_.OnAppended(Offset(end), now_); }
  void Reach(uint64_t sent, uint64_t own, uint64_t mirrored, uint64_t committed) {
    tracker_.OnReach({Offset(sent), Offset(own), Offset(mirrored), Offset(committed)}, now_,
                     counters_);
  }
  void Later(int milliseconds) { now_ += absl::Milliseconds(milliseconds); }
  absl::Duration Mean(OwnerStage stage) const { return counters_.Read()[stage].Mean(); }
  uint64_t Blocks(OwnerStage stage) const { return counters_.Read()[stage].blocks; }

  absl::Time now_ = absl::UnixEpoch();
  OwnerStageCounters counters_;
  StageTracker tracker_;
};

TEST_F(StageTrackerTest, MeasuresEachStageFromWhereItBegins) {
  Append(3);
  Later(2);
  Reach(3, 0, 0, 0);
  Later(5);
  Reach(3, 3, 0, 0);
  Later(10);
  Reach(3, 3, 3, 3);
  EXPECT_EQ(Mean(OwnerStage::kQueue), absl::Milliseconds(2));
  EXPECT_EQ(Mean(OwnerStage::kCommit), absl::Milliseconds(5));
  EXPECT_EQ(Mean(OwnerStage::kMirror), absl::Milliseconds(15));
  EXPECT_EQ(Mean(OwnerStage::kOwner), absl::Milliseconds(17));
  EXPECT_TRUE(tracker_.empty());
}

TEST_F(StageTrackerTest, CountsABlockOnlyWhenAllOfItHasCome) {
  Append(3);
  Append(5);
  Reach(5, 4, 3, 2);
  EXPECT_EQ(Blocks(OwnerStage::kQueue), 2u);
  EXPECT_EQ(Blocks(OwnerStage::kCommit), 1u);
  EXPECT_EQ(Blocks(OwnerStage::kMirror), 1u);
  EXPECT_EQ(Blocks(OwnerStage::kOwner), 0u);
  Reach(5, 5, 5, 5);
  EXPECT_EQ(Blocks(OwnerStage::kOwner), 2u);
}

TEST_F(StageTrackerTest, CommitsBeforeItsOwnStoreHasIt) {
  Append(1);
  Reach(1, 0, 1, 1);
  EXPECT_EQ(Blocks(OwnerStage::kOwner), 1u);
  EXPECT_FALSE(tracker_.empty());
  Later(40);
  Reach(1, 1, 1, 1);
  EXPECT_EQ(Mean(OwnerStage::kCommit), absl::Milliseconds(40));
  EXPECT_TRUE(tracker_.empty());
}

// After a roll the replicas begin again at the base of the new segment.
TEST_F(StageTrackerTest, CountsNothingTwiceWhenAReplicaFallsBack) {
  Append(1);
  Append(2);
  Reach(2, 2, 1, 1);
  Reach(1, 1, 1, 1);
  Reach(2, 2, 2, 2);
  for (const OwnerStage stage :
       {OwnerStage::kQueue, OwnerStage::kCommit, OwnerStage::kMirror, OwnerStage::kOwner}) {
    EXPECT_EQ(Blocks(stage), 2u);
  }
}

}  // namespace
}  // namespace forebay
