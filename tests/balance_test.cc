#include "replication/core/balance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "replication/core/placement.h"
#include "runtime/random.h"

namespace forebay {
namespace {

// Partitions on nodes, and rounds in which every node hands over one partition at most.
class BalanceTest : public ::testing::Test {
 protected:
  void Nodes(size_t count) {
    for (size_t i = 0; i < count; i++) {
      NodeRecord node;
      node.id = NodeId(absl::StrCat("n", i));
      node.zone = ZoneId(absl::StrCat("z", i % 3));
      nodes_.push_back(node);
    }
  }
  // Owned in turn by the nodes of some zones, with copies in all.
  void Partitions(uint32_t count, size_t owner_zones) {
    for (uint32_t i = 0; i < count; i++) {
      const size_t round = i / owner_zones, zone = i % owner_zones;
      const NodeRecord& owner = nodes_[(round * 3 + zone) % nodes_.size()];
      Segment open;
      open.owner = owner.id;
      open.replicas = Place({StreamId("s"), i}, 3, owner, nodes_);
      open_.push_back(open);
    }
  }
  OwnerBalance Look() const {
    std::vector<const Segment*> open;
    for (const Segment& segment : open_) open.push_back(&segment);
    return {nodes_, open};
  }
  size_t Round() {
    const OwnerBalance balance = Look();
    size_t moves = 0;
    for (const NodeRecord& node : nodes_) {
      if (balance.IsHeavy(node.id) && HandOverOne(balance, node.id)) moves++;
    }
    return moves;
  }
  bool HandOverOne(const OwnerBalance& balance, const NodeId& from) {
    for (Segment& segment : open_) {
      if (segment.owner != from) continue;
      for (const Replica& replica : segment.replicas) {
        if (!random_.Chance(balance.Chance(from, replica.node))) continue;
        segment.owner = replica.node;
        return true;
      }
    }
    return false;
  }
  std::vector<size_t> Owned() const {
    std::vector<size_t> owned;
    for (const NodeRecord& node : nodes_) {
      owned.push_back(static_cast<size_t>(
          std::count_if(open_.begin(), open_.end(),
                        [&](const Segment& segment) { return segment.owner == node.id; })));
    }
    return owned;
  }
  size_t Fewest() const {
    const std::vector<size_t> owned = Owned();
    return *std::min_element(owned.begin(), owned.end());
  }
  size_t Most() const {
    const std::vector<size_t> owned = Owned();
    return *std::max_element(owned.begin(), owned.end());
  }

  Random random_{3};
  std::vector<NodeRecord> nodes_;
  std::vector<Segment> open_;
};

TEST_F(BalanceTest, LeavesOwnersThatLieEvenlyAlone) {
  Nodes(6);
  Partitions(33, 3);
  for (const NodeRecord& from : nodes_) {
    EXPECT_FALSE(Look().IsHeavy(from.id));
    for (const NodeRecord& to : nodes_) EXPECT_EQ(Look().Chance(from.id, to.id), 0);
  }
}

TEST_F(BalanceTest, GivesAZoneThatIsBackItsShare) {
  Nodes(3);
  Partitions(6, 2);
  for (int round = 0; round < 200; round++) Round();
  EXPECT_EQ(Owned(), (std::vector<size_t>{2, 2, 2}));
}

TEST_F(BalanceTest, EvensALargeFleetOutAndThenRests) {
  Nodes(60);
  Partitions(3000, 2);
  EXPECT_EQ(Fewest(), 0u);
  size_t moves = 0, most = 0;
  for (int round = 0; round < 300; round++) {
    moves += Round();
    most = std::max(most, Most());
  }
  EXPECT_GE(Fewest(), 44u);  // 50 each
  EXPECT_LE(Most(), 56u);
  EXPECT_LE(most, 75u);  // what it began with: nobody got more than anybody had
  EXPECT_LE(moves, 1500u);
  EXPECT_EQ(Round(), 0u);
}

// Otherwise all would hand over to it at once.
TEST_F(BalanceTest, DoesNotFloodOneNodeThatOwnsNothing) {
  Nodes(60);
  Partitions(3000, 3);
  for (Segment& segment : open_) {
    if (segment.owner == nodes_[0].id) segment.owner = segment.replicas[1].node;
  }
  for (int round = 0; round < 100; round++) {
    Round();
    EXPECT_LE(Owned()[0], 60u);
  }
  EXPECT_GE(Owned()[0], 40u);
}

TEST_F(BalanceTest, CountsOnlyNodesThatMayOwn) {
  Nodes(3);
  Partitions(6, 2);
  nodes_.pop_back();  // it drains
  EXPECT_FALSE(Look().IsHeavy(nodes_[0].id));
  EXPECT_EQ(Look().Chance(nodes_[0].id, NodeId("n2")), 0);
}

}  // namespace
}  // namespace forebay
