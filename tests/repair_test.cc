// When a name may leave the replica list of a sealed segment, and who takes its place.
#include "replication/core/repair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "support/protocol_fixture.h"

namespace forebay {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RepairTest : public ::testing::Test {
 protected:
  // Node a owns the partition; the sealed segment of epoch 1 is on a, b and c.
  RepairTest() {
    view_.chain_version = 5;
    view_.chain.segments = {OpenSegmentOf(1, 0), OpenSegmentOf(2, 10)};
    view_.chain.segments[0].end = Offset(10);
    view_.copies = 3;
    for (const char* node : {"a", "b", "c"}) {
      view_.nodes.push_back({RecordOf(node), true, false, false, NodeId()});
    }
  }
  RepairNode& Node(size_t i) { return view_.nodes[i]; }
  void Join(const std::string& node, const std::string& replaces = "") {
    view_.nodes.push_back({RecordOf(node), true, false, false, NodeId(replaces)});
  }
  void Leave(size_t i) { Node(i).replace = Node(i).leaving = true; }
  void Survey() {
    out_ = Outbox();
    core_->Survey(view_, now_, out_);
  }
  // Answers a request of the survey at `version`.
  void HoldsAt(const std::string& node, uint64_t version) {
    Outbox out;
    core_->OnCopyReply(
        NodeId(node),
        {Key(1), Epoch(2), ReplicaAnswer::kHolds, {Offset(0), Offset(10)}, Epoch(), version}, now_,
        out);
  }
  void Holds(const std::string& node) { HoldsAt(node, view_.chain_version); }
  // Of the sealed segment, as proposed; empty: no change.
  std::vector<std::string> Proposed() {
    std::vector<std::string> names;
    const auto chain = core_->Proposal();
    if (!chain.has_value()) return names;
    for (const Replica& replica : chain->segments[0].replicas)
      names.push_back(replica.node.value());
    return names;
  }

  absl::Time now_ = absl::UnixEpoch();
  RepairView view_;
  Outbox out_;
  std::optional<RepairCore> core_{std::in_place, kPartition, NodeId("a"), 0};
};

TEST_F(RepairTest, ANameThatIsToLeaveStaysUntilTheOthersHoldEverything) {  // H12
  Leave(2);
  Join("d");
  Survey();
  EXPECT_THAT(Sent<CopyRequest>(out_, "d"), SizeIs(1));
  Holds("a");
  Holds("b");
  Holds("c");
  EXPECT_THAT(Proposed(), IsEmpty());
  Holds("d");
  EXPECT_THAT(Proposed(), ElementsAre("a", "b", "d"));
}

// The joining node may have read the newer chain, which does not name it, and deleted its copy.
TEST_F(RepairTest, AsksAgainWhatAnUnnamedNodeHoldsWhenTheChainHasChanged) {  // repair-swap
  Leave(2);
  Join("d");
  Survey();
  for (const char* node : {"a", "b", "d"}) Holds(node);
  EXPECT_THAT(Proposed(), ElementsAre("a", "b", "d"));
  const uint64_t before = view_.chain_version++;
  Survey();
  EXPECT_THAT(Proposed(), IsEmpty());
  const auto asked = Sent<CopyRequest>(out_, "d");
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0].chain_version, view_.chain_version);
  HoldsAt("d", before);  // late
  EXPECT_THAT(Proposed(), IsEmpty());
  Holds("d");
  EXPECT_THAT(Proposed(), ElementsAre("a", "b", "d"));
}

TEST_F(RepairTest, ANameThatIsToLeaveNeedsNoOtherWhereThereIsNone) {
  Leave(2);
  Survey();
  Holds("a");
  Holds("c");
  EXPECT_THAT(Proposed(), IsEmpty());  // one copy that stays is no ack quorum
  Holds("b");
  EXPECT_THAT(Proposed(), ElementsAre("a", "b"));
}

TEST_F(RepairTest, ANodeThatIsGoneKeepsItsNameWhereNoneCanTakeItsPlace) {
  Node(2).alive = false;
  Node(2).replace = true;
  Survey();
  Holds("a");
  Holds("b");
  EXPECT_THAT(Proposed(), IsEmpty());
}

// It may be back soon; nobody has given it up.
TEST_F(RepairTest, ANameThatIsToLeaveWaitsForANodeThatStaysAndIsAway) {
  Leave(2);
  Join("d");
  Node(3).alive = false;
  Survey();
  Holds("a");
  Holds("b");
  EXPECT_THAT(Proposed(), IsEmpty());
}

TEST_F(RepairTest, TheReplacementThatWasNamedGetsTheCopies) {
  for (const char* replacement : {"d", "e", "f"}) {
    core_.emplace(kPartition, NodeId("a"), 0);
    view_.nodes.resize(3);
    Leave(2);
    for (const char* node : {"d", "e", "f"}) {
      Join(node, node == std::string(replacement) ? "c" : "");
      view_.nodes.back().record.zone = ZoneId("zone-c");
    }
    Survey();
    EXPECT_THAT(Sent<CopyRequest>(out_, replacement), SizeIs(1)) << replacement;
  }
}

}  // namespace
}  // namespace forebay
