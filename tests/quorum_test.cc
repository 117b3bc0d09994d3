// The quorum predicate by brute force: every rule, every replica set of up to five nodes in three
// zones, every set of answers.
#include "replication/core/quorum.h"

#include <gtest/gtest.h>

#include <bit>
#include <functional>
#include <set>

#include "replication/core/placement.h"

namespace forebay {
namespace {

Replica At(int node, int zone) {
  return {NodeId("n" + std::to_string(node)), Incarnation(1), ZoneId("z" + std::to_string(zone))};
}

// Written from the words of the design, not from the code: members counted one by one.
bool AckByTheBook(const QuorumRule& rule, const std::vector<Replica>& replicas, ReplicaMask set) {
  std::set<std::string> nodes, zones;
  for (size_t i = 0; i < replicas.size(); i++) {
    if (!(set >> i & 1)) continue;
    nodes.insert(replicas[i].node.value());
    zones.insert(replicas[i].zone.value());
  }
  return static_cast<int>(nodes.size()) >= rule.ack_copies &&
         static_cast<int>(zones.size()) >= rule.ack_zones;
}

void ForEveryReplicaSet(
    const std::function<void(const QuorumRule&, const std::vector<Replica>&)>& check) {
  for (int copies = 1; copies <= 4; copies++) {
    for (int zones = 1; zones <= copies && zones <= 3; zones++) {
      for (int size = 1; size <= 5; size++) {
        for (int layout = 0; layout < 243; layout++) {
          std::vector<Replica> replicas;
          for (int i = 0, rest = layout; i < size; i++, rest /= 3) {
            replicas.push_back(At(i, rest % 3));
          }
          check({copies, zones}, replicas);
        }
      }
    }
  }
}

TEST(Quorum, OfAnAcknowledgementCountsNodesAndZones) {
  ForEveryReplicaSet([](const QuorumRule& rule, const std::vector<Replica>& replicas) {
    for (ReplicaMask set = 0; set <= AllOf(replicas); set++) {
      ASSERT_EQ(IsAckQuorum(rule, replicas, set), AckByTheBook(rule, replicas, set));
    }
  });
}

// Guards "seal quorum: any one answer" and "seal quorum: an ack quorum instead" of the model.
TEST(Quorum, ToSealMeetsEveryAckQuorumAndIsNoLargerThanNeeded) {
  ForEveryReplicaSet([](const QuorumRule& rule, const std::vector<Replica>& replicas) {
    for (ReplicaMask answered = 0; answered <= AllOf(replicas); answered++) {
      bool missed = false;  // an ack quorum exists of which nobody answered
      for (ReplicaMask acked = 1; acked <= AllOf(replicas); acked++) {
        missed |= AckByTheBook(rule, replicas, acked) && (acked & answered) == 0;
      }
      ASSERT_EQ(IsSealQuorum(rule, replicas, answered), answered != 0 && !missed);
    }
  });
}

TEST(Quorum, IsNeverSealedByNobody) {
  // Guard "segment-rule": by the wrong rule the empty set would seal a segment of one replica.
  EXPECT_FALSE(IsSealQuorum({2, 2}, {At(0, 0)}, 0));
}

TEST(Quorum, IsNotMetByTwoNodesOfOneZone) {  // H6, KIP-1290
  const std::vector<Replica> replicas{At(0, 0), At(1, 0), At(2, 1)};
  EXPECT_FALSE(IsAckQuorum({2, 2}, replicas, 0b011));
  EXPECT_TRUE(IsAckQuorum({2, 2}, replicas, 0b101));
}

TEST(Quorum, HighestAckedOffsetIsTheLargestThatAnAckQuorumReached) {
  const std::vector<Replica> replicas{At(0, 0), At(1, 0), At(2, 1)};
  const auto highest = [&](uint64_t a, uint64_t b, uint64_t c) {
    return HighestAckedOffset({2, 2}, replicas, {Offset(a), Offset(b), Offset(c)});
  };
  EXPECT_EQ(highest(9, 8, 3), Offset(3));
  EXPECT_EQ(highest(9, 2, 5), Offset(5));
  EXPECT_EQ(highest(4, 9, 20), Offset(9));
  EXPECT_EQ(HighestAckedOffset({3, 3}, replicas, {Offset(1), Offset(1), Offset(1)}), std::nullopt);
}

NodeRecord Node(const std::string& id, const std::string& zone) {
  return {NodeId(id), ZoneId(zone), "", Incarnation(1), ProcessLife(1), false};
}

TEST(Placement, SpreadsCopiesOverZonesBeforeNodes) {
  const std::vector<NodeRecord> nodes{Node("a1", "a"), Node("a2", "a"), Node("b1", "b"),
                                      Node("b2", "b"), Node("c1", "c"), Node("c2", "c")};
  for (uint32_t i = 0; i < 100; i++) {
    const std::vector<Replica> placed = Place({StreamId("web"), i}, 3, nodes[i % 6], nodes);
    ASSERT_EQ(placed.size(), 3u);
    EXPECT_EQ(placed[0].node, nodes[i % 6].id);
    EXPECT_EQ(ZoneCount(placed, AllOf(placed)), 3);
  }
}

TEST(Placement, TakesASecondNodeOfAZoneWhenZonesAreShort) {
  const std::vector<NodeRecord> nodes{Node("a1", "a"), Node("a2", "a"), Node("b1", "b")};
  const std::vector<Replica> placed = Place({StreamId("web"), 0}, 3, nodes[0], nodes);
  EXPECT_EQ(placed.size(), 3u);
  EXPECT_EQ(ZoneCount(placed, AllOf(placed)), 2);
}

TEST(Placement, GivesEveryNodeAFairShareOfFirstPlaces) {
  const std::vector<NodeRecord> nodes{Node("a1", "a"), Node("b1", "b"), Node("c1", "c")};
  std::map<NodeId, int> first;
  for (uint32_t i = 0; i < 3000; i++) {
    first[RendezvousOrder({StreamId("web"), i}, nodes).front().id]++;
  }
  for (const NodeRecord& node : nodes) {
    EXPECT_GT(first[node.id], 800) << node.id;
    EXPECT_LT(first[node.id], 1200) << node.id;
  }
}

TEST(Placement, SpreadsNewPartitionsEvenlyOverZonesAndNodes) {
  const std::vector<NodeRecord> nodes{Node("a1", "a"), Node("a2", "a"), Node("b1", "b"),
                                      Node("b2", "b"), Node("c1", "c"), Node("c2", "c")};
  std::map<NodeId, int> owned;
  std::map<char, int> of_zone;
  for (uint32_t i = 0; i < 6; i++) {
    const NodeId owner = FirstOwner({StreamId("web"), i}, FirstOwners(nodes));
    owned[owner]++;
    if (i < 3) of_zone[owner.value()[0]]++;
  }
  EXPECT_EQ(owned.size(), 6u);
  EXPECT_EQ(of_zone.size(), 3u);
}

TEST(Placement, AcceptsFewerZonesOnlyWhenTheStreamSaysSo) {
  StreamOptions stream{.name = StreamId("web")};
  EXPECT_EQ(RuleFor(stream, {At(0, 0), At(1, 0)}), std::nullopt);
  stream.on_zone_shortfall = ZoneShortfall::kAcceptDegraded;
  EXPECT_EQ(RuleFor(stream, {At(0, 0), At(1, 0)}), (QuorumRule{2, 1}));
  EXPECT_EQ(RuleFor(stream, {At(0, 0)}), (QuorumRule{1, 1}));
  EXPECT_EQ(RuleFor(stream, {At(0, 0), At(1, 1), At(2, 2)}), (QuorumRule{2, 2}));
}

}  // namespace
}  // namespace forebay
