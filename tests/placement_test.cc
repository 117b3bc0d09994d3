#include "replication/core/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "replication/core/quorum.h"
#include "runtime/random.h"

namespace forebay {
namespace {

// Fleets of all shapes, and the rules of placement.h written down in the simplest way.
class PlacementTest : public ::testing::Test {
 protected:
  std::vector<NodeRecord> Fleet(size_t nodes, uint64_t zones) {
    std::vector<NodeRecord> fleet;
    for (size_t i = 0; i < nodes; i++) {
      NodeRecord node;
      node.id = NodeId(absl::StrCat("n", i));
      node.zone = ZoneId(absl::StrCat("zone-", random_.Below(zones)));
      node.incarnation = Incarnation(1);
      node.disk_full = random_.Chance(0.1);
      node.disk_slow = random_.Chance(0.1);
      fleet.push_back(node);
    }
    return fleet;
  }
  PartitionId Partition() { return {StreamId("web"), static_cast<uint32_t>(random_.Next())}; }
  const NodeRecord& OneOf(const std::vector<NodeRecord>& fleet) {
    return fleet[random_.Below(fleet.size())];
  }

  static std::vector<Replica> PlaceInOrder(const PartitionId& partition, int copies,
                                           const NodeRecord& first,
                                           const std::vector<NodeRecord>& fleet) {
    std::vector<Replica> placed{{first.id, first.incarnation, first.zone}};
    std::set<ZoneId> zones{first.zone};
    for (const bool new_zones_only : {true, false}) {
      for (const NodeRecord& node : RendezvousOrder(partition, fleet)) {
        if (static_cast<int>(placed.size()) >= copies) return placed;
        if (IndexOf(placed, node.id) >= 0 || (new_zones_only && zones.contains(node.zone))) {
          continue;
        }
        zones.insert(node.zone);
        placed.push_back({node.id, node.incarnation, node.zone});
      }
    }
    return placed;
  }

  static std::vector<NodeRecord> WholeLine(const TakeoverLine& line) {
    std::vector<NodeRecord> order =
        RendezvousOrder(line.partition, {line.live.begin(), line.live.end()});
    const auto first = [&](auto holds) {
      std::stable_partition(order.begin(), order.end(), holds);
    };
    first([](const NodeRecord& node) { return !node.disk_full; });
    first([&](const NodeRecord& node) {
      const int index = IndexOf(line.heirs, node.id);
      return index >= 0 && line.heirs[static_cast<size_t>(index)].incarnation == node.incarnation;
    });
    first([&](const NodeRecord& node) { return !line.leaves(node); });
    first([](const NodeRecord& node) { return !node.disk_slow; });
    return order;
  }

  Random random_{7};
};

// Nodes of all versions of a fleet have to agree on it.
TEST_F(PlacementTest, OrdersNodesAsItAlwaysDid) {
  const Rendezvous rendezvous({StreamId("web"), 7});
  EXPECT_EQ(rendezvous.Weight(NodeId("a1")), 14403917834289830430u);
  EXPECT_EQ(rendezvous.Weight(NodeId("b1")), 7705611949964727583u);
}

TEST_F(PlacementTest, PlacesCopiesAsTheRendezvousOrderSays) {
  for (int round = 0; round < 500; round++) {
    const std::vector<NodeRecord> fleet = Fleet(1 + random_.Below(12), 1 + random_.Below(4));
    const PartitionId partition = Partition();
    const int copies = 1 + static_cast<int>(random_.Below(5));
    const NodeRecord first = OneOf(fleet);
    EXPECT_EQ(Place(partition, copies, first, fleet),
              PlaceInOrder(partition, copies, first, fleet));
  }
}

TEST_F(PlacementTest, FillsUpWithPreferredNodesFirst) {
  const std::vector<NodeRecord> fleet = Fleet(20, 1);
  for (int round = 0; round < 20; round++) {
    const NodeRecord& preferred = OneOf(fleet);
    std::vector<Candidate> candidates;
    for (const NodeRecord& node : fleet) candidates.push_back({&node, node.id == preferred.id});
    std::vector<Replica> placed;
    FillUp(Partition(), 2, candidates, placed);
    ASSERT_EQ(placed.size(), 2u);
    EXPECT_EQ(placed[0].node, preferred.id);
  }
}

TEST_F(PlacementTest, CountsThoseWhoTakeOverEarlier) {
  for (int round = 0; round < 500; round++) {
    const std::vector<NodeRecord> fleet = Fleet(1 + random_.Below(12), 3);
    const PartitionId partition = Partition();
    std::vector<Replica> heirs = Place(partition, 3, OneOf(fleet), fleet);
    if (random_.Chance(0.3)) heirs.back().incarnation = Incarnation(2);  // its store is new
    const NodeId leaving = OneOf(fleet).id;
    const auto leaves = [&](const NodeRecord& node) { return node.id == leaving; };
    const TakeoverLine line{partition, heirs, fleet, leaves};
    const std::vector<NodeRecord> order = WholeLine(line);
    for (size_t at = 0; at < order.size(); at++) {
      EXPECT_EQ(CountBefore(line, order[at], order.size()), at);
      EXPECT_EQ(CountBefore(line, order[at], 2), std::min<size_t>(at, 2));
    }
  }
}

TEST_F(PlacementTest, GivesEachNodeItsShareOfFirstOwners) {
  const std::vector<NodeRecord> fleet = Fleet(10, 3);
  const std::vector<NodeId> owners = FirstOwners(fleet);
  std::set<NodeId> seen;
  for (uint32_t i = 0; i < 10; i++) seen.insert(FirstOwner({StreamId("web"), i}, owners));
  EXPECT_EQ(seen.size(), 10u);
}

}  // namespace
}  // namespace forebay
