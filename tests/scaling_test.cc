// The simulation behind docs/SCALING.md at a small scale: 30 nodes, 1,000 partitions.
#include <gtest/gtest.h>

#include "scaling/fleet.h"
#include "scaling/storm.h"

namespace forebay::scaling {
namespace {

class ScalingTest : public ::testing::TestWithParam<std::vector<size_t>> {
 protected:
  // Everything is somewhere, and no node holds much more than its share of zone or fleet.
  void ExpectAllPlaced(const Fleet& fleet) {
    EXPECT_EQ(fleet.unplaced(), 0u);
    EXPECT_EQ(fleet.Copies().sum, 3000u);
    EXPECT_EQ(fleet.Owned().sum, 1000u);
  }
  void BalanceAll(Fleet& fleet) {
    for (int round = 0; round < 200; round++) fleet.Balance();
  }
  size_t Lose(Fleet& fleet) {
    const size_t zone = fleet.zones() - 1;
    fleet.SetZoneAlive(zone, false);
    return zone;
  }

  Fleet fleet_{{.nodes_of_zone = GetParam(), .partitions = 1000}};
};

INSTANTIATE_TEST_SUITE_P(Fleets, ScalingTest,
                         ::testing::Values(std::vector<size_t>{10, 10, 10},
                                           std::vector<size_t>{15, 9, 6},
                                           std::vector<size_t>{5, 5, 5, 5, 5, 5}));

TEST_P(ScalingTest, BeginsWithOwnersInBalance) {
  ExpectAllPlaced(fleet_);
  EXPECT_GE(fleet_.Owned().min, 33u);
  EXPECT_LE(fleet_.Owned().max, 34u);
  EXPECT_GT(fleet_.Copies().min, 40u);
  EXPECT_LT(fleet_.Copies().max, 220u);
}

TEST_P(ScalingTest, SpreadsTheTakeoversOfALostZone) {
  Lose(fleet_);
  const Spread taken = Spread::Of(fleet_.TakeOver());
  fleet_.Roll();
  ExpectAllPlaced(fleet_);
  const uint64_t mean = taken.sum / fleet_.alive_count();
  EXPECT_GT(taken.sum, 150u);
  EXPECT_LE(taken.max, 3 * mean);
}

TEST_P(ScalingTest, MakesEveryLostCopyAgain) {
  const std::vector<Fleet::Partition> before = fleet_.partitions();
  const uint64_t kept = fleet_.Copies().sum;
  Lose(fleet_);
  const uint64_t lost = 3000 - fleet_.Copies().sum;
  EXPECT_EQ(kept, 3000u);
  fleet_.TakeOver();
  const RepairWork repair = fleet_.Repair(before);
  EXPECT_EQ(repair.copies, lost);
  EXPECT_EQ(repair.short_of_copies, 0u);
  EXPECT_EQ(repair.by_target.sum, repair.by_owner.sum);
  EXPECT_LE(repair.by_target.max, 4 * (repair.copies / fleet_.alive_count()));
}

TEST_P(ScalingTest, BringsOwnersAndCopiesBackToAZoneThatIsBack) {
  const size_t zone = Lose(fleet_);
  fleet_.TakeOver();
  fleet_.Roll();
  fleet_.SetZoneAlive(zone, true);
  fleet_.RollAll();
  EXPECT_EQ(fleet_.Owned().min, 0u);
  BalanceAll(fleet_);
  ExpectAllPlaced(fleet_);
  EXPECT_GE(fleet_.Owned().min, 29u);
  EXPECT_LE(fleet_.Owned().max, 38u);
  EXPECT_EQ(fleet_.Balance(), 0u);
}

TEST_P(ScalingTest, LeavesMostCopiesWhereTheyAreWhenANodeIsAdded) {
  fleet_.AddNode(0);
  EXPECT_EQ(fleet_.Roll(), 0u);
  const uint64_t moved = fleet_.RollAll();
  EXPECT_GT(moved, 20u);
  EXPECT_LT(moved, 250u);
  ExpectAllPlaced(fleet_);
}

TEST_P(ScalingTest, KnowsTheLineThatNodesStandIn) {
  Lose(fleet_);
  std::vector<NodeRecord> live;
  for (size_t i = 0; i < fleet_.nodes().size(); i++) {
    if (fleet_.alive(i)) live.push_back(fleet_.nodes()[i]);
  }
  const auto stay = [](const NodeRecord&) { return false; };
  for (size_t i = 0; i < 50; i++) {
    const Fleet::Partition& partition = fleet_.partitions()[i];
    const TakeoverLine rule{partition.id, partition.open.replicas, live, stay};
    const std::vector<size_t> line = fleet_.Line(partition, live.size());
    for (size_t place = 0; place < line.size(); place++) {
      EXPECT_EQ(CountBefore(rule, fleet_.nodes()[line[place]], live.size()), place);
    }
    EXPECT_EQ(fleet_.FirstInLine(partition), line[0]);
  }
}

TEST_P(ScalingTest, TakesEveryPartitionOverOnceInAStorm) {
  Lose(fleet_);
  uint64_t lost = 0;
  for (const Fleet::Partition& partition : fleet_.partitions()) {
    lost += fleet_.alive(partition.owner) ? 0 : 1;
  }
  const StormResult calm = RunStorm(fleet_, {.swaps_per_second = 1e6, .reads_per_second = 1e6});
  EXPECT_EQ(calm.takeovers, lost);
  EXPECT_EQ(calm.by_node.sum, lost);
  EXPECT_EQ(calm.swaps, calm.takeovers + calm.rolls);
  EXPECT_EQ(calm.within_two_seconds, 1);
  // A store that cannot keep up is asked for more, not less: others in line try too.
  const StormResult slow = RunStorm(fleet_, {.swaps_per_second = 200, .reads_per_second = 600});
  EXPECT_EQ(slow.takeovers, lost);
  EXPECT_GT(slow.swaps_wasted, 0u);
  EXPECT_GT(slow.takeover_last, calm.takeover_last);
}

TEST(Storm, RepeatsItselfFromASeed) {
  Fleet fleet({.nodes_of_zone = {4, 4, 4}, .partitions = 100, .seed = 5});
  fleet.SetZoneAlive(2, false);
  const StormOptions options{.swaps_per_second = 100, .seed = 5};
  const StormResult first = RunStorm(fleet, options), second = RunStorm(fleet, options);
  EXPECT_EQ(first.swaps, second.swaps);
  EXPECT_EQ(first.takeover_last, second.takeover_last);
}

}  // namespace
}  // namespace forebay::scaling
