// Disks that are full or stand still, one at a time and all at once, in an otherwise healthy
// simulated world (H15, docs/design/protocol.md#limits). Every world checks all invariants too.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "simulation/scenario.h"

namespace forebay {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr DiskUsage kRoomy{500 * kGiB, 500 * kGiB};
constexpr DiskUsage kFull{910 * kGiB, 90 * kGiB};
constexpr DiskUsage kOnReserve{1000 * kGiB - 1, 1};
constexpr uint32_t kPartitions = 6;

class DiskScenarioTest : public Scenario {
 protected:
  void Begin(uint64_t seed = 11) {
    Plan plan = CalmPlan();
    plan.stream.partitions = kPartitions;
    plan.append_every = absl::Milliseconds(10);
    plan.keep_after_delivery = absl::ZeroDuration();
    Scenario::Begin(plan, seed);
    for (uint32_t i = 0; i < kPartitions; i++) ASSERT_NE(world_->Owner(i), nullptr);
  }

  SimNode& Node(size_t index) { return *world_->Nodes()[index]; }
  void SetDisk(SimNode& node, const DiskUsage& usage) { node.replicator()->SetDiskUsage(usage); }
  void SetAllDisks(const DiskUsage& usage) {
    for (SimNode* node : world_->Nodes()) SetDisk(*node, usage);
  }
  const Chain& ChainOf(uint32_t partition) {
    return *world_->invariants().ChainOf({StreamId("s"), partition});
  }
  int Owned(const SimNode& node) {
    int owned = 0;
    for (uint32_t i = 0; i < kPartitions; i++) owned += world_->Owner(i) == &node;
    return owned;
  }
  // Open segments that name it.
  int Named(const SimNode& node) {
    int named = 0;
    for (uint32_t i = 0; i < kPartitions; i++) {
      for (const Replica& replica : ChainOf(i).segments.back().replicas) {
        named += replica.node == node.id();
      }
    }
    return named;
  }
  static size_t Blocks(const SimNode& node) {
    size_t blocks = 0;
    for (const auto& [key, segment] : node.disk().durable.segments) {
      blocks += segment.blocks.size();
    }
    return blocks;
  }
  uint64_t Acknowledged() { return world_->invariants().acknowledged(); }
  std::vector<Epoch> Epochs() {
    std::vector<Epoch> epochs;
    for (uint32_t i = 0; i < kPartitions; i++) epochs.push_back(ChainOf(i).segments.back().epoch);
    return epochs;
  }
};

TEST_F(DiskScenarioTest, AnOwnerWhoseDiskStandsStillHandsOver) {  // H15
  Begin();
  SimNode& stalled = Node(0);
  ASSERT_GT(Owned(stalled), 0);
  stalled.StallDisk(true);
  Run(absl::Seconds(4));
  EXPECT_EQ(Owned(stalled), 0);
  EXPECT_LT(world_->TakeLongestGap(), absl::Seconds(1));
  stalled.StallDisk(false);
  ExpectAllWell();
}

TEST_F(DiskScenarioTest, ANodeWithASlowDiskTakesNothingOverUntilItIsQuick) {  // H15
  Begin();
  SimNode& slow = Node(0);
  slow.StallDisk(true);
  Run(absl::Seconds(3));
  slow.StallDisk(false);
  Node(1).Kill();
  Run(absl::Seconds(5));
  EXPECT_EQ(Owned(Node(2)), static_cast<int>(kPartitions));
  Node(1).Start();
  Run(absl::Seconds(20));
  // By now it is quick.
  Node(2).Kill();
  Run(absl::Seconds(5));
  EXPECT_GT(Owned(slow), 0);
  Node(2).Start();
  ExpectAllWell();
}

TEST_F(DiskScenarioTest, ASlowNodeThatIsAskedToTakeOverLeavesItToOthers) {  // H15
  Begin();
  SimNode& slow = Node(0);
  slow.StallDisk(true);
  Run(absl::Seconds(3));
  slow.StallDisk(false);
  absl::Status answer;
  for (uint32_t i = 0; i < kPartitions; i++) {
    slow.replicator()->TakeOver({StreamId("s"), i}, ChainOf(i).segments.back().epoch,
                                [&](absl::Status status) { answer = std::move(status); });
  }
  Run(absl::Milliseconds(100));
  EXPECT_EQ(answer.code(), absl::StatusCode::kUnavailable) << answer;
  EXPECT_EQ(Owned(slow), 0);
  ExpectAllWell();
}

TEST_F(DiskScenarioTest, WhenAllDisksStandStillNobodyPassesPartitionsAround) {
  Begin();
  for (SimNode* node : world_->Nodes()) node->StallDisk(true);
  Run(absl::Seconds(5));
  for (SimNode* node : world_->Nodes()) node->StallDisk(false);
  Run(absl::Seconds(3));
  const std::vector<Epoch> before = Epochs();
  Run(absl::Seconds(5));
  EXPECT_EQ(Epochs(), before);
  ExpectAllWell();
}

// docs/design/protocol.md#limits
TEST_F(DiskScenarioTest, AFullNodeHandsOverAndIsLeftOutUntilItHasRoom) {
  Begin();
  SimNode& full = Node(0);
  ASSERT_GT(Owned(full), 0);
  SetDisk(full, kFull);
  Run(absl::Seconds(4));
  EXPECT_EQ(Owned(full), 0);
  EXPECT_EQ(Named(full), 0);
  EXPECT_LT(world_->TakeLongestGap(), absl::Seconds(1));
  const uint64_t before = Acknowledged();
  Run(absl::Seconds(5));
  EXPECT_GT(Acknowledged(), before);
  SetDisk(full, kRoomy);
  Run(absl::Seconds(3));
  EXPECT_EQ(Named(full), static_cast<int>(kPartitions));
  ExpectAllWell();
}

TEST_F(DiskScenarioTest, WithAllDisksFullAppendsWaitAndDeliveryAndTrimGoOn) {  // G8
  Begin();
  SetAllDisks(kFull);
  Run(absl::Seconds(1));
  const uint64_t before = Acknowledged();
  Run(absl::Seconds(20));
  EXPECT_EQ(Acknowledged(), before);
  EXPECT_EQ(world_->invariants().delivered(), before);
  for (SimNode* node : world_->Nodes()) EXPECT_LT(Blocks(*node), 20u) << node->id();
  SetAllDisks(kRoomy);
  Run(absl::Seconds(3));
  EXPECT_GT(Acknowledged(), before);
  ExpectAllWell();
}

TEST_F(DiskScenarioTest, TwoFullOfThreeAreToldFromTwoThatAreGone) {
  Begin();
  SetDisk(Node(0), kFull);
  SetDisk(Node(1), kFull);
  Run(absl::Seconds(3));
  const uint64_t before = Acknowledged();
  Run(absl::Seconds(5));
  EXPECT_EQ(Acknowledged(), before);
  EXPECT_EQ(world_->invariants().delivered(), before);
  SetAllDisks(kRoomy);
  Run(absl::Seconds(3));
  EXPECT_GT(Acknowledged(), before);
  ExpectAllWell();
}

TEST_F(DiskScenarioTest, AReplicaOnItsReserveStoresNothingAndIsNotCounted) {  // G1
  Begin();
  // Nothing can be rolled meanwhile, so the segments go on with it on their lists.
  for (SimNode* node : world_->Nodes()) node->SetMetadataReachable(false);
  SimNode& full = Node(0);
  SetDisk(full, kOnReserve);
  Run(absl::Milliseconds(100));
  const size_t blocks = Blocks(full);
  const uint64_t before = Acknowledged();
  Run(absl::Seconds(5));
  EXPECT_LE(Blocks(full), blocks);
  EXPECT_GT(Acknowledged(), before);
  SetDisk(full, kRoomy);
  for (SimNode* node : world_->Nodes()) node->SetMetadataReachable(true);
  ExpectAllWell();
}

TEST_F(DiskScenarioTest, WhenOnlyFullNodesAreLeftTheyTakeOverToDeliver) {
  Begin();
  SetDisk(Node(0), kFull);
  SetDisk(Node(1), kFull);
  Run(absl::Seconds(2));
  Node(2).Kill();
  Run(absl::Seconds(10));
  for (uint32_t i = 0; i < kPartitions; i++) {
    ASSERT_NE(world_->Owner(i), nullptr);
    EXPECT_NE(world_->Owner(i), &Node(2));
  }
  EXPECT_EQ(world_->invariants().delivered(), Acknowledged());
  SetDisk(Node(0), kRoomy);
  SetDisk(Node(1), kRoomy);
  Node(2).Start();
  ExpectAllWell();
}

}  // namespace
}  // namespace forebay
