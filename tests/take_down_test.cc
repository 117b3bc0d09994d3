// Is it safe to take nodes down? By table, and by brute force against the quorum predicate.
#include "replication/take_down.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "replication/core/quorum.h"
#include "support/protocol_fixture.h"

namespace forebay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = Obstacle::Kind;

class TakeDownTest : public ::testing::Test {
 protected:
  // Nodes a, b, c in zones of their own; a owns a partition whose chain is one sealed segment and
  // an open one, both whole on all three.
  TakeDownTest() {
    for (const char* node : {"a", "b", "c"}) nodes_.push_back({RecordOf(node), true, false});
    partition_.partition = kPartition;
    partition_.chain.segments = {OpenSegmentOf(1, 0), OpenSegmentOf(2, 10)};
    partition_.chain.segments[0].end = Offset(10);
    partition_.owned_here = true;
    partition_.committed = Offset(20);
    partition_.copies = 3;
    partition_.asked = {2, 2};
    partition_.in_sync = {NodeId("a"), NodeId("b"), NodeId("c")};
    partition_.holders[Epoch(1)] = partition_.in_sync;
  }
  std::vector<Obstacle> Judge(const std::string& down) {
    std::set<NodeId> names;
    for (const char name : down) names.insert(NodeId(std::string(1, name)));
    return JudgeTakeDown(nodes_, {&partition_, 1}, names);
  }
  std::vector<Kind> Kinds(const std::string& down) {
    std::vector<Kind> kinds;
    for (const Obstacle& obstacle : Judge(down)) kinds.push_back(obstacle.kind);
    return kinds;
  }
  NodeStatus& Node(size_t i) { return nodes_[i]; }

  std::vector<NodeStatus> nodes_;
  PartitionStatus partition_;
};

TEST_F(TakeDownTest, IsSafeForAnyOneOfThreeHealthyZones) {
  for (const char* node : {"a", "b", "c"}) EXPECT_THAT(Kinds(node), IsEmpty()) << node;
}

TEST_F(TakeDownTest, IsUnsafeForTwoOfThreeZones) {
  EXPECT_THAT(Kinds("bc"), ElementsAre(Kind::kTooFewNodes, Kind::kAckQuorum, Kind::kSealQuorum,
                                       Kind::kSealedSegment));
}

TEST_F(TakeDownTest, IsUnsafeWhileAnotherNodeDoesNotAnswer) {
  Node(2).alive = false;
  ASSERT_THAT(Kinds("b"), ElementsAre(Kind::kSilentNode, Kind::kTooFewNodes, Kind::kAckQuorum,
                                      Kind::kSealQuorum, Kind::kSealedSegment));
  EXPECT_THAT(Judge("b")[0].why, HasSubstr("node c in zone zone-c does not answer"));
}

TEST_F(TakeDownTest, OfTheDeadNodeItselfIsJudgedByTheOthers) {
  Node(2).alive = false;
  EXPECT_THAT(Kinds("c"), IsEmpty());
}

TEST_F(TakeDownTest, DoesNotWaitForADeadNodeThatLeaves) {
  nodes_.push_back({RecordOf("d"), false, true});
  EXPECT_THAT(Kinds("b"), IsEmpty());
}

TEST_F(TakeDownTest, IsUnsafeWhileTheOthersAreBehind) {
  partition_.in_sync = {NodeId("a"), NodeId("c")};
  EXPECT_THAT(Kinds("b"), IsEmpty());
  ASSERT_THAT(Kinds("c"), ElementsAre(Kind::kAckQuorum));
  EXPECT_THAT(Judge("c")[0].why, HasSubstr("only a (zone-a) would be left in sync"));
}

TEST_F(TakeDownTest, IsUnsafeWithoutAnHeir) {
  partition_.asked = {1, 1};
  partition_.in_sync = {NodeId("a")};
  EXPECT_THAT(Kinds("a"), ElementsAre(Kind::kAckQuorum, Kind::kNoHandOver));
  partition_.in_sync = {NodeId("a"), NodeId("b")};
  Node(1).record.draining = true;
  EXPECT_THAT(Kinds("a"), ElementsAre(Kind::kNoHandOver));
}

TEST_F(TakeDownTest, IsUnsafeForTheLastCopiesOfASealedSegment) {
  partition_.holders[Epoch(1)] = {NodeId("a"), NodeId("b")};
  EXPECT_THAT(Kinds("c"), IsEmpty());
  ASSERT_THAT(Kinds("b"), ElementsAre(Kind::kSealedSegment));
  EXPECT_THAT(Judge("b")[0].why, HasSubstr("epoch 1 (offsets 0 to 10) would be left on only a"));
  partition_.trim_floor = Offset(10);  // it has reached every sink
  EXPECT_THAT(Kinds("b"), IsEmpty());
}

TEST_F(TakeDownTest, CountsNoCopyOfAnotherIncarnation) {
  Node(1).record.incarnation = Incarnation(9);  // b was wiped since
  EXPECT_THAT(Kinds("c"), ElementsAre(Kind::kAckQuorum, Kind::kSealQuorum, Kind::kSealedSegment));
}

TEST_F(TakeDownTest, IsUnsafeWhileAnOwnerDoesNotAnswer) {
  partition_.owned_here = false;
  EXPECT_THAT(Kinds("c"), ElementsAre(Kind::kUnknownState));
}

TEST_F(TakeDownTest, IsUnsafeWhenANodeDoesNotSayWhatTheStreamAsks) {
  partition_.asked = {0, 0};
  EXPECT_THAT(Kinds("c"), ElementsAre(Kind::kUnknownState));
}

TEST_F(TakeDownTest, NeedsOnlyAPlaceForAPartitionThatNeverHadAnOwner) {
  partition_.chain.segments.clear();
  EXPECT_THAT(Kinds("c"), IsEmpty());
  EXPECT_THAT(Kinds("bc"), ElementsAre(Kind::kTooFewNodes));
}

TEST_F(TakeDownTest, GivesNothingToNodesThatLeave) {
  Node(1).leaving = true;
  EXPECT_THAT(Kinds("c"), ElementsAre(Kind::kTooFewNodes));
}

TEST_F(TakeDownTest, SaysWhatIsLeft) {
  const Remains all = RemainsOf({&partition_, 1}, {NodeId("a")});
  EXPECT_EQ(all.owned, 1);
  EXPECT_EQ(all.open_segments, 1);
  EXPECT_EQ(all.sealed_segments, 1);
  EXPECT_TRUE(RemainsOf({&partition_, 1}, {NodeId("d")}).nothing());
  partition_.owned_here = false;
  EXPECT_FALSE(RemainsOf({&partition_, 1}, {NodeId("d")}).nothing());
}

// Four nodes in up to three zones; every rule, layout, set of nodes that are dead, behind, and
// taken down. What is called safe must leave an ack quorum in sync, and a seal quorum, by the
// predicate itself; what is not must lack one of them, an heir, or an answer.
TEST_F(TakeDownTest, AgreesWithTheQuorumPredicateEverywhere) {
  int safe = 0, unsafe = 0;
  for (int copies = 1; copies <= 3; copies++) {
    for (int layout = 0; layout < 81; layout++) {
      nodes_.clear();
      std::vector<Replica> replicas;
      for (int i = 0, rest = layout; i < 4; i++, rest /= 3) {
        const NodeRecord record{NodeId(std::string(1, static_cast<char>('a' + i))),
                                ZoneId("z" + std::to_string(rest % 3)),
                                "",
                                Incarnation(1),
                                ProcessLife(1),
                                false};
        nodes_.push_back({record, true, false});
        replicas.push_back({record.id, record.incarnation, record.zone});
      }
      const QuorumRule rule{copies, std::min(copies, 2)};
      partition_.asked = rule;
      partition_.copies = 4;
      partition_.chain.segments = {OpenSegmentOf(2, 0, replicas)};
      partition_.chain.segments[0].rule = rule;
      for (ReplicaMask behind = 0; behind < 16; behind += 2) {  // never a, who owns it
        partition_.in_sync.clear();
        for (size_t i = 0; i < 4; i++) {
          if (!(behind >> i & 1)) partition_.in_sync.push_back(replicas[i].node);
        }
        for (ReplicaMask down = 1; down < 16; down++) {
          std::set<NodeId> names;
          for (size_t i = 0; i < 4; i++) {
            if (down >> i & 1) names.insert(replicas[i].node);
          }
          const ReplicaMask left = AllOf(replicas) & ~down;
          const bool expected =
              IsAckQuorum(rule, replicas, left & ~behind) && IsSealQuorum(rule, replicas, left);
          const bool judged = JudgeTakeDown(nodes_, {&partition_, 1}, names).empty();
          ASSERT_EQ(judged, expected) << "layout " << layout << " copies " << copies << " behind "
                                      << behind << " down " << down;
          (judged ? safe : unsafe)++;
        }
      }
    }
  }
  EXPECT_GT(safe, 1000);
  EXPECT_GT(unsafe, 1000);
}

}  // namespace
}  // namespace forebay
