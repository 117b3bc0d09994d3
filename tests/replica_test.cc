// What a replica may store and say. Each test names the guard that it holds
// up: docs/design/model.md#guards
#include "replication/core/replica.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/protocol_fixture.h"

namespace forebay {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class ReplicaTest : public ::testing::Test {
 protected:
  MirrorReply Mirror(uint64_t epoch, uint64_t first, std::vector<Block> blocks, bool open = true) {
    Begin(core_.OnMirror(owner_, MirrorRequestOf(epoch, first, std::move(blocks), open), out_));
    Sync();
    return Last<MirrorReply>();
  }
  MirrorRequest MirrorRequestOf(uint64_t epoch, uint64_t first, std::vector<Block> blocks,
                                bool open = true) {
    MirrorRequest request;
    request.segment = Key(epoch);
    request.incarnation = named_;
    if (open) request.open_snapshot = "";
    request.first = Offset(first);
    request.blocks = std::move(blocks);
    return request;
  }
  FenceReply Fence(uint64_t epoch, uint64_t fence) {
    Begin(core_.OnFence(owner_, {Key(epoch), named_, Epoch(fence)}, out_));
    Sync();
    return Last<FenceReply>();
  }
  CopyReply Copy(uint64_t epoch, uint64_t fence, uint64_t first, std::vector<Block> blocks,
                 uint64_t chain_version = 0) {
    Begin(core_.OnCopy(
        owner_,
        {Key(epoch), named_, Epoch(fence), chain_version, "", Offset(first), std::move(blocks)},
        out_));
    Sync();
    return Last<CopyReply>();
  }
  // Takes writes without making them durable.
  void Begin(ReplicaCore::Writes writes) {
    if (!writes.empty()) unsynced_++;
    written_.insert(written_.end(), writes.begin(), writes.end());
  }
  void Sync() {
    for (; unsynced_ > 0; unsynced_--) core_.OnDurable(out_);
  }
  template <typename T>
  T Last() {
    const std::vector<T> sent = Sent<T>(out_, "owner");
    EXPECT_FALSE(sent.empty());
    return sent.empty() ? T() : sent.back();
  }

  const NodeId owner_{"owner"};
  Incarnation named_{7};  // what the requests name
  ReplicaCore core_{NodeId("a"), Incarnation(7), WalContent()};
  Outbox out_;
  int unsynced_ = 0;
  ReplicaCore::Writes written_;
};

TEST_F(ReplicaTest, ReportsATailOnlyOnceItIsDurable) {  // G1, H5
  Begin(core_.OnMirror(owner_, MirrorRequestOf(1, 0, {BlockOf(0, 3)}), out_));
  EXPECT_THAT(out_.messages, IsEmpty());
  Sync();
  EXPECT_EQ(Last<MirrorReply>().answer, ReplicaAnswer::kHolds);
  EXPECT_EQ(Last<MirrorReply>().tail, Offset(3));
}

TEST_F(ReplicaTest, TakesABlockOnlyAtItsTail) {  // guard contiguous
  EXPECT_EQ(Mirror(1, 3, {BlockOf(3)}).tail, Offset(0));
  EXPECT_EQ(Mirror(1, 0, {BlockOf(0, 3)}).tail, Offset(3));
  EXPECT_EQ(Mirror(1, 3, {BlockOf(3)}).tail, Offset(4));
}

TEST_F(ReplicaTest, AcknowledgesAgainWhatItHas) {
  Mirror(1, 0, {BlockOf(0), BlockOf(1)});
  written_.clear();
  EXPECT_EQ(Mirror(1, 0, {BlockOf(0), BlockOf(1)}).tail, Offset(2));
  EXPECT_THAT(written_, IsEmpty());
}

TEST_F(ReplicaTest, RefusesAnotherBlockAtAnOffsetItHas) {
  Mirror(1, 0, {BlockOf(0)});
  EXPECT_EQ(Mirror(1, 0, {BlockOf(0, 1, "other")}).answer, ReplicaAnswer::kFailed);
}

TEST_F(ReplicaTest, KeepsSegmentsApart) {  // guard by-epoch
  Mirror(1, 0, {BlockOf(0), BlockOf(1)});
  EXPECT_EQ(Mirror(2, 0, {BlockOf(0, 1, "other")}).tail, Offset(1));
  EXPECT_EQ(core_.DurableExtent(Key(1))->tail, Offset(2));
  EXPECT_EQ(core_.DurableExtent(Key(2))->tail, Offset(1));
}

TEST_F(ReplicaTest, RefusesTheOldEpochOnceFenced) {  // guard fence-check, H1
  Mirror(1, 0, {BlockOf(0)});
  Fence(1, 2);
  const MirrorReply reply = Mirror(1, 1, {BlockOf(1)});
  EXPECT_EQ(reply.answer, ReplicaAnswer::kFenced);
  EXPECT_EQ(reply.fence, Epoch(2));
  EXPECT_EQ(core_.DurableExtent(Key(1))->tail, Offset(1));
}

TEST_F(ReplicaTest, TellsTheOldOwnerNothingOnceFencedNotEvenWhatItHas) {  // guard fenced-silent
  Mirror(1, 0, {BlockOf(0)});
  Fence(1, 2);
  EXPECT_EQ(Mirror(1, 0, {BlockOf(0)}).answer, ReplicaAnswer::kFenced);
}

TEST_F(ReplicaTest, AnswersAFenceAfterAllItAcceptedBeforeIsDurable) {  // guard fence-order
  Begin(core_.OnMirror(owner_, MirrorRequestOf(1, 0, {BlockOf(0)}), out_));
  Begin(core_.OnFence(owner_, {Key(1), named_, Epoch(2)}, out_));
  EXPECT_THAT(out_.messages, IsEmpty());
  Sync();
  EXPECT_EQ(Last<FenceReply>().tail, Offset(1));
  // What became durable after the fence was accepted is not acknowledged to the old owner.
  EXPECT_EQ(Last<MirrorReply>().answer, ReplicaAnswer::kFenced);
}

TEST_F(ReplicaTest, MakesTheFenceDurableBeforeItAnswers) {  // guard fence-durable
  Begin(core_.OnFence(owner_, {Key(1), named_, Epoch(2)}, out_));
  EXPECT_THAT(out_.messages, IsEmpty());
  ASSERT_THAT(written_, SizeIs(1));
  EXPECT_EQ(std::get<RaiseFence>(written_[0]).fence, Epoch(2));
}

TEST_F(ReplicaTest, KeepsItsFenceOverARestart) {  // guard fence-durable, H4
  WalContent content;
  content.segments[Key(1)] = {Offset(0), Offset(5)};
  content.fences[kPartition] = Epoch(2);
  ReplicaCore restarted(NodeId("a"), Incarnation(7), content);
  restarted.OnMirror(owner_, MirrorRequestOf(1, 5, {BlockOf(5)}), out_);
  EXPECT_EQ(Last<MirrorReply>().answer, ReplicaAnswer::kFenced);
}

TEST_F(ReplicaTest, AnswersALowerFenceWithTheHigherOne) {
  Fence(1, 3);
  const FenceReply reply = Fence(1, 2);
  EXPECT_EQ(reply.answer, ReplicaAnswer::kFenced);
  EXPECT_EQ(reply.higher, Epoch(3));
}

TEST_F(ReplicaTest, InLimboNeitherAnswersNorTakesAnything) {  // limbo-unknown, limbo-refuses
  named_ = Incarnation(6);  // the requests mean the store that was here before
  EXPECT_EQ(Mirror(1, 0, {BlockOf(0)}).answer, ReplicaAnswer::kLimbo);
  EXPECT_EQ(Fence(1, 2).answer, ReplicaAnswer::kLimbo);
  EXPECT_EQ(Copy(1, 2, 0, {BlockOf(0)}).answer, ReplicaAnswer::kLimbo);
  EXPECT_THAT(written_, IsEmpty());
  EXPECT_EQ(core_.FenceOf(kPartition), Epoch());
}

TEST_F(ReplicaTest, ACopyBringsTheFence) {  // guard repair-fences
  EXPECT_EQ(Copy(1, 2, 0, {BlockOf(0)}).extent, (SegmentExtent{Offset(0), Offset(1)}));
  EXPECT_EQ(core_.FenceOf(kPartition), Epoch(2));
  EXPECT_EQ(Mirror(1, 1, {BlockOf(1)}).answer, ReplicaAnswer::kFenced);
}

TEST_F(ReplicaTest, TakesNoCopiesOfALowerEpochThanItsFence) {
  Fence(1, 3);
  EXPECT_EQ(Copy(1, 2, 0, {BlockOf(0)}).answer, ReplicaAnswer::kFenced);
}

TEST_F(ReplicaTest, BeginsAnewWhereTheSourceBegins) {
  Mirror(1, 0, {BlockOf(0)});
  // Offsets 1 to 4 are trimmed at the source.
  EXPECT_EQ(Copy(1, 2, 5, {BlockOf(5, 2)}).extent, (SegmentExtent{Offset(5), Offset(7)}));
}

Chain ChainNaming(uint64_t epoch, std::vector<Replica> replicas) {
  Chain chain{{OpenSegmentOf(epoch, 0, std::move(replicas)), OpenSegmentOf(epoch + 1, 9)}};
  chain.segments[0].end = Offset(9);
  return chain;
}

TEST_F(ReplicaTest, DeletesACopyOnlyOnAChainNewerThanEveryRequestItAnswered) {  // H4, H12
  Copy(1, 2, 0, {BlockOf(0)}, /*chain_version=*/5);
  const Chain without = ChainNaming(1, {ReplicaOf("b"), ReplicaOf("c")});
  EXPECT_THAT(core_.OnChain(kPartition, 4, without), IsEmpty());
  EXPECT_THAT(core_.OnChain(kPartition, 5, without), IsEmpty());
  EXPECT_THAT(core_.OnChain(kPartition, 6, without), SizeIs(1));
}

TEST_F(ReplicaTest, DeletesNothingOnTheFirstChainAfterARestart) {  // it forgot what it answered
  WalContent content;
  content.segments[Key(1)] = {Offset(0), Offset(5)};
  ReplicaCore restarted(NodeId("a"), Incarnation(7), content);
  const Chain without = ChainNaming(1, {ReplicaOf("b"), ReplicaOf("c")});
  EXPECT_THAT(restarted.OnChain(kPartition, 6, without), IsEmpty());
  EXPECT_THAT(restarted.OnChain(kPartition, 7, without), SizeIs(1));
}

TEST_F(ReplicaTest, KeepsACopyThatTheChainNamesWithAnOlderIncarnation) {  // H4, NATS 7549
  Mirror(1, 0, {BlockOf(0)});
  const Chain names = ChainNaming(1, {ReplicaOf("a", 6), ReplicaOf("b")});
  core_.OnChain(kPartition, 1, names);
  EXPECT_THAT(core_.OnChain(kPartition, 2, names), IsEmpty());
}

TEST_F(ReplicaTest, KeepsASegmentThatIsNewerThanTheChainItReads) {
  Mirror(3, 0, {BlockOf(0)});
  core_.OnChain(kPartition, 1, ChainNaming(1, {ReplicaOf("b")}));
  EXPECT_THAT(core_.OnChain(kPartition, 2, ChainNaming(1, {ReplicaOf("b")})), IsEmpty());
}

}  // namespace
}  // namespace forebay
