// One attempt of a takeover, answer by answer. Each test names the guard (docs/design/model.md) it
// holds up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "replication/core/sealer.h"
#include "support/protocol_fixture.h"

namespace forebay {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Phase = SealerCore::Phase;

class TakeoverTest : public ::testing::Test {
 protected:
  // Node b takes over from a; the open segment is of epoch 2, based at 4.
  void Begin(std::vector<Replica> replicas = {ReplicaOf("a"), ReplicaOf("b"), ReplicaOf("c")},
             QuorumRule rule = {2, 2}) {
    Chain chain{{OpenSegmentOf(1, 0), OpenSegmentOf(2, 4, std::move(replicas))}};
    chain.segments[0].end = Offset(4);
    chain.segments[1].rule = rule;
    core_ = std::make_unique<SealerCore>(kPartition, 9, chain, RecordOf("b", 1, 5), 0);
    core_->Start(live_, now_, Out());
  }
  Outbox& Out() { return out_ = Outbox(); }
  void Fenced(const std::string& node, uint64_t tail,
              ReplicaAnswer answer = ReplicaAnswer::kHolds) {
    core_->OnFenceReply(NodeId(node), {Key(2), Epoch(3), answer, Epoch(8), Offset(4), Offset(tail)},
                        now_, Out());
  }
  void Copied(const std::string& node, uint64_t tail) {
    core_->OnCopyReply(
        NodeId(node), {Key(2), Epoch(3), ReplicaAnswer::kHolds, {Offset(4), Offset(tail)}, Epoch()},
        now_, Out());
  }
  // Answers the fetch that was last sent to the node with blocks [from, to).
  void Serve(const std::string& node, uint64_t from, uint64_t to) {
    const auto asked = Sent<FetchRequest>(out_, node);
    ASSERT_FALSE(asked.empty()) << "nothing was fetched from " << node;
    FetchReply reply{asked.back().request,
                     Key(2),
                     FetchAnswer::kHave,
                     {Offset(4), Offset(to)},
                     ProducerTable().Encode(ProducerTable::kFormat),
                     {}};
    for (uint64_t o = from; o < to; o++) reply.blocks.push_back({Offset(o), BlockOf(o - 4)});
    core_->OnFetchReply(NodeId(node), reply, now_, Out());
  }
  Chain Proposed() { return core_->Proposal(Segment{}); }

  std::vector<NodeRecord> live_{RecordOf("b", 1, 5), RecordOf("c")};
  absl::Time now_ = absl::UnixEpoch();
  Outbox out_;
  std::unique_ptr<SealerCore> core_;
};

TEST_F(TakeoverTest, FencesEveryReplicaAtTheNextEpoch) {
  Begin();
  for (const char* node : {"a", "b", "c"}) {
    ASSERT_THAT(Sent<FenceRequest>(out_, node), SizeIs(1));
    EXPECT_EQ(Sent<FenceRequest>(out_, node)[0].fence, Epoch(3));
  }
}

TEST_F(TakeoverTest, DecidesNothingOnOneAnswerOfThree) {  // seal quorum: any one answer
  Begin();
  Fenced("b", 6);
  EXPECT_EQ(core_->phase(), Phase::kFencing);
}

TEST_F(TakeoverTest, CountsNoAnswerFromLimbo) {  // limbo-unknown
  Begin();
  Fenced("b", 4);
  Fenced("c", 0, ReplicaAnswer::kLimbo);
  EXPECT_EQ(core_->phase(), Phase::kFencing);
}

// It may have taken more of the old owner's blocks since.
TEST_F(TakeoverTest, CountsNoAnswerToAnotherFence) {
  Begin();
  Fenced("b", 6);
  core_->OnFenceReply(
      NodeId("c"), {Key(2), Epoch(2), ReplicaAnswer::kHolds, Epoch(), Offset(4), Offset(6), false},
      now_, Out());
  EXPECT_EQ(core_->phase(), Phase::kFencing);
}

TEST_F(TakeoverTest, SaysWhoseAnswerIsMissing) {
  Begin();
  Fenced("b", 4);
  Fenced("c", 0, ReplicaAnswer::kLimbo);
  EXPECT_THAT(core_->WaitsFor(), HasSubstr("(a does not answer, b answered, c has lost its disk)"));
}

TEST_F(TakeoverTest, SealsAtWhatTheSilentReplicaMayHaveAcknowledged) {
  Begin();
  Fenced("b", 6);
  Fenced("c", 5);
  // a may hold 6 too, and then 6 was acknowledged: c has to get it first.
  ASSERT_EQ(core_->phase(), Phase::kCopying);
  EXPECT_THAT(Sent<CopyRequest>(out_, "c"), SizeIs(1));
}

TEST_F(TakeoverTest, DoesNotSwapBeforeAnAckQuorumHoldsEverything) {  // copy-first
  Begin();
  Fenced("b", 6);
  Fenced("c", 5);
  Copied("c", 5);  // not yet
  EXPECT_EQ(core_->phase(), Phase::kCopying);
  Serve("b", 5, 6);
  const auto copies = Sent<CopyRequest>(out_, "c");
  ASSERT_THAT(copies, SizeIs(1));
  EXPECT_EQ(copies[0].first, Offset(5));
  EXPECT_EQ(copies[0].fence, Epoch(3));
  Copied("c", 6);
  EXPECT_EQ(core_->phase(), Phase::kLoading);
  Serve("b", 4, 6);
  ASSERT_EQ(core_->phase(), Phase::kReady);
  const Chain chain = Proposed();
  ASSERT_THAT(chain.segments, SizeIs(3));
  EXPECT_EQ(chain.segments[1].end, Offset(6));
  EXPECT_THAT(chain.segments[1].replicas, SizeIs(2));  // those that hold it
  EXPECT_EQ(chain.segments[2].epoch, Epoch(3));
  EXPECT_EQ(chain.segments[2].base, Offset(6));
  EXPECT_EQ(chain.segments[2].owner, NodeId("b"));
  EXPECT_EQ(chain.segments[2].owner_life, ProcessLife(5));
}

TEST_F(TakeoverTest, LeavesOutWhatNoAckQuorumCanHold) {  // tight end
  Begin();
  Fenced("a", 7);
  Fenced("b", 6);
  EXPECT_EQ(core_->phase(), Phase::kCopying);  // c may hold 7 as well
  Begin();
  Fenced("c", 5);
  Fenced("b", 5);
  EXPECT_EQ(core_->phase(), Phase::kLoading);  // at 5, whatever a holds
  Serve("b", 4, 5);
  EXPECT_EQ(Proposed().segments[1].end, Offset(5));
}

TEST_F(TakeoverTest, LeavesOutWhatOnlyOneZoneHolds) {  // tight end
  std::vector<Replica> replicas{ReplicaOf("a"), ReplicaOf("c"), ReplicaOf("b")};
  replicas[1].zone = replicas[0].zone;
  Begin(std::move(replicas));
  Fenced("a", 7);
  EXPECT_EQ(core_->phase(), Phase::kFencing);  // b and c may have acknowledged more
  Fenced("b", 5);
  Serve("b", 4, 5);
  EXPECT_EQ(Proposed().segments[1].end, Offset(5));  // nothing beyond it without b
}

TEST_F(TakeoverTest, RebuildsTheProducersFromWhatIsBelowTheEndOnly) {  // dedup-rebuild, dedup-cut
  Begin();
  Fenced("c", 5);
  Fenced("b", 5);
  Serve("b", 4, 7);  // its store holds more than what is sealed
  ASSERT_EQ(core_->phase(), Phase::kReady);
  const ProducerTable table = core_->TakeTable();
  EXPECT_EQ(table.Check({ProducerId("p"), 0, 0}, 1).kind, ProducerVerdict::Kind::kRepeat);
  EXPECT_EQ(table.Check({ProducerId("p"), 0, 1}, 1).kind, ProducerVerdict::Kind::kNew);
}

TEST_F(TakeoverTest, ReplacesAnEmptySegmentAndLoadsFromTheOneBefore) {
  Begin();
  Fenced("b", 0, ReplicaAnswer::kNotOpen);
  Fenced("c", 0, ReplicaAnswer::kNotOpen);
  ASSERT_EQ(core_->phase(), Phase::kLoading);
  const auto asked = Sent<FetchRequest>(out_, "b");
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0].segment, Key(1));
  FetchReply reply{asked[0].request,
                   Key(1),
                   FetchAnswer::kHave,
                   {Offset(4), Offset(4)},
                   ProducerTable().Encode(ProducerTable::kFormat),
                   {}};
  core_->OnFetchReply(NodeId("b"), reply, now_, Out());
  ASSERT_EQ(core_->phase(), Phase::kReady);
  ASSERT_THAT(Proposed().segments, SizeIs(2));
  EXPECT_EQ(Proposed().segments[1].epoch, Epoch(3));
  EXPECT_EQ(Proposed().segments[1].base, Offset(4));
}

TEST_F(TakeoverTest, CopiesToANodeThatWasNoReplicaWhenMembersAreShort) {  // liveness
  live_ = {RecordOf("b", 1, 5), RecordOf("d")};
  Begin();
  Fenced("b", 6);
  Fenced("a", 6);
  EXPECT_EQ(core_->phase(), Phase::kLoading);  // two zones hold it already
  live_ = {RecordOf("b", 1, 5), RecordOf("d")};
  Begin({ReplicaOf("b"), ReplicaOf("c")});
  Fenced("b", 6);
  ASSERT_EQ(core_->phase(), Phase::kCopying);
  EXPECT_THAT(Sent<CopyRequest>(out_, "d"), SizeIs(1));
}

// docs/design/protocol.md#takeover, step 4; H3
TEST_F(TakeoverTest, TreatsASourceThatCannotServeAsUnknown) {
  Begin();
  Fenced("c", 6);
  Fenced("b", 5);
  ASSERT_EQ(core_->phase(), Phase::kCopying);
  Copied("b", 5);
  const auto asked = Sent<FetchRequest>(out_, "c");
  ASSERT_THAT(asked, SizeIs(1));
  core_->OnFetchReply(NodeId("c"), {asked[0].request, Key(2), FetchAnswer::kUnknown, {}, {}, {}},
                      now_, Out());
  EXPECT_EQ(core_->phase(), Phase::kFencing);
  Fenced("a", 5);  // b and a agree, c may hold anything: 5 is the highest they can have acked
  EXPECT_NE(core_->phase(), Phase::kReady);
}

TEST_F(TakeoverTest, GivesUpWhenAHigherEpochHasBeenThere) {
  Begin();
  Fenced("c", 0, ReplicaAnswer::kFenced);
  EXPECT_EQ(core_->phase(), Phase::kFenced);
}

TEST_F(TakeoverTest, JudgesASegmentByTheRuleItWasOpenedWith) {  // segment-rule
  Begin({ReplicaOf("a")}, {1, 1});
  EXPECT_EQ(core_->phase(), Phase::kFencing);
  Fenced("a", 6);
  EXPECT_EQ(core_->phase(), Phase::kCopying);
  // One copy was enough to acknowledge, so any of the three may know of one.
  Begin({ReplicaOf("a"), ReplicaOf("b"), ReplicaOf("c")}, {1, 1});
  Fenced("b", 6);
  Fenced("a", 6);
  EXPECT_EQ(core_->phase(), Phase::kFencing);
  Fenced("c", 6);
  EXPECT_NE(core_->phase(), Phase::kFencing);
}

}  // namespace
}  // namespace forebay
