// What an owner commits, and when. Each test names the guard that it holds
// up: docs/design/model.md#guards
#include "replication/core/owner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "support/protocol_fixture.h"

namespace forebay {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class OwnerTest : public ::testing::Test {
 protected:
  OwnerTest() {
    OwnerOptions options;
    options.window_bytes = 4000;
    core_ = std::make_unique<OwnerCore>(kPartition, OpenSegmentOf(1, 0), ProducerTable(), options,
                                        now_);
    core_->Mirror(now_, Out());
    for (const char* node : {"a", "b", "c"}) Holds(node, 0);
  }
  // Results and messages of the last step only.
  OwnerOutput& Out() {
    Collect();
    out_ = OwnerOutput();
    return out_;
  }
  void Collect() {
    for (const auto& [node, message] : out_.outbox.messages) {
      const auto* request = std::get_if<MirrorRequest>(&message);
      if (request != nullptr) asked_ = std::max(asked_, request->round);
    }
    for (auto& [ticket, result] : out_.results) results_[ticket] = result;
    out_.results.clear();
  }
  void Append(Ticket ticket, Block block) {
    core_->Append(std::move(block), ticket, now_, Out());
    core_->MirrorToAll(now_, out_);
  }
  void Holds(const std::string& node, uint64_t tail, uint64_t epoch = 1) {
    core_->OnMirrorReply(NodeId(node),
                         {Key(epoch), ReplicaAnswer::kHolds, Offset(tail), Offset(tail), {}}, now_,
                         Out());
  }
  // Answers to the question that was asked last.
  void Confirm(std::vector<std::string> nodes = {"a", "b"}) {
    Collect();
    const uint64_t round = asked_;
    for (const std::string& node : nodes) {
      core_->OnMirrorReply(NodeId(node),
                           {core_->segment().epoch == Epoch(1) ? Key(1) : Key(2),
                            ReplicaAnswer::kHolds,
                            Offset(),
                            Offset(),
                            {},
                            round},
                           now_, Out());
    }
  }
  bool Told(Ticket ticket) {
    Collect();
    return results_.contains(ticket);
  }
  bool Acknowledged(Ticket ticket) {
    Collect();
    return results_.contains(ticket) && results_[ticket].outcome == Outcome::kAcknowledged;
  }
  const AppendResult& Result(Ticket ticket) {
    Collect();
    EXPECT_TRUE(results_.contains(ticket)) << "no result for ticket " << ticket;
    return results_[ticket];
  }
  void Roll(uint64_t epoch) {
    core_->BeginRoll();
    core_->FinishRoll(OpenSegmentOf(epoch, core_->committed().value()), now_, Out());
  }

  absl::Time now_ = absl::UnixEpoch();
  OwnerOutput out_;
  std::map<Ticket, AppendResult> results_;
  uint64_t asked_ = 0;
  std::unique_ptr<OwnerCore> core_;
};

TEST_F(OwnerTest, AcknowledgesOnceTwoZonesHoldTheBlock) {  // G1
  Append(1, BlockOf(0, 3));
  Holds("a", 3);
  EXPECT_FALSE(Acknowledged(1));
  Holds("c", 3);
  EXPECT_TRUE(Acknowledged(1));
  EXPECT_EQ(Result(1).offset, Offset(0));
  EXPECT_EQ(core_->committed(), Offset(3));
}

TEST_F(OwnerTest, CommitsWithoutItsOwnDiskButDoesNotReadWhatItLacks) {  // G6
  Append(1, BlockOf(0));
  Holds("b", 1);
  Holds("c", 1);
  EXPECT_TRUE(Acknowledged(1));
  EXPECT_EQ(core_->readable(), Offset(0));
  Holds("a", 1);
  EXPECT_EQ(core_->readable(), Offset(1));
}

TEST_F(OwnerTest, MirrorsTheSameBytesToEveryReplica) {
  const Block block = BlockOf(0, 2);
  Append(1, block);
  for (const char* node : {"a", "b", "c"}) {
    const auto sent = Sent<MirrorRequest>(out_.outbox, node);
    ASSERT_THAT(sent, SizeIs(1));
    EXPECT_EQ(sent[0].blocks[0].bytes(), block.bytes());
    EXPECT_EQ(sent[0].first, Offset(0));
  }
}

TEST_F(OwnerTest, MirrorsARunOfAppendsInOneMessage) {
  for (uint64_t i = 0; i < 3; i++) core_->Append(BlockOf(i), i + 1, now_, Out());
  EXPECT_THAT(out_.outbox.messages, IsEmpty());
  core_->Mirror(now_, Out());
  const auto sent = Sent<MirrorRequest>(out_.outbox, "b");
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_THAT(sent[0].blocks, SizeIs(3));
}

class PromptTest : public OwnerTest {
 protected:
  // As a turn of the node does; what waits goes where the test calls Rest.
  void Turn(uint64_t sequence, const std::string& payload = "x") {
    core_->Append(BlockOf(sequence, 1, "p", 0, payload), sequence + 1, now_, Out());
    core_->Mirror(now_, out_);
  }
  void Rest() { core_->MirrorTo(NodeId("c"), now_, Out()); }
  std::string SentTo() {
    std::string nodes;
    for (const char* node : {"a", "b", "c"}) {
      if (!Sent<MirrorRequest>(out_.outbox, node).empty()) nodes += node;
    }
    return nodes;
  }
};

TEST_F(PromptTest, SendsAtOnceToAsManyAsAnAcknowledgementTakesAndToTheOthersSoon) {
  Turn(0);
  EXPECT_EQ(SentTo(), "ab");
  EXPECT_THAT(out_.rest, ElementsAre(NodeId("c")));
  Turn(1);
  EXPECT_EQ(SentTo(), "ab");
  Rest();
  EXPECT_EQ(SentTo(), "c");
  EXPECT_THAT(Sent<MirrorRequest>(out_.outbox, "c")[0].blocks, SizeIs(2));
}

TEST_F(PromptTest, LetsAReplicaThatStallsBeOvertaken) {  // H15
  Turn(0);
  Rest();
  Holds("a", 1);
  Holds("c", 1);
  EXPECT_TRUE(Acknowledged(1));
  Turn(1);
  EXPECT_EQ(SentTo(), "ac");
}

TEST_F(PromptTest, SendsToAllWhileThoseThatAnswerAreTooFew) {  // G7
  Turn(0);
  now_ += absl::Seconds(1);
  core_->OnTick(now_, Out());  // nobody has answered
  Turn(1);
  EXPECT_EQ(SentTo(), "abc");
}

TEST_F(PromptTest, LetsNotMuchWaitForTheRest) {
  for (uint64_t i = 0; i < 3; i++) Turn(i, std::string(999, 'x'));
  EXPECT_EQ(SentTo(), "ab");
  OwnerOptions options;
  core_ =
      std::make_unique<OwnerCore>(kPartition, OpenSegmentOf(1, 0), ProducerTable(), options, now_);
  core_->Mirror(now_, Out());
  for (const char* node : {"a", "b", "c"}) Holds(node, 0);
  Turn(0, std::string(100'000, 'x'));
  EXPECT_EQ(SentTo(), "abc");
}

TEST_F(PromptTest, CallsAReplicaInSyncThatLacksOnlyWhatIsYoung) {  // H13
  const std::vector<NodeId> all = {NodeId("a"), NodeId("b"), NodeId("c")};
  const std::vector<NodeId> two = {NodeId("a"), NodeId("b")};
  Turn(0);
  Holds("a", 1);
  Holds("b", 1);
  EXPECT_EQ(core_->committed(), Offset(1));
  EXPECT_EQ(core_->InSync(), all);
  core_->OnTick(now_, Out());
  EXPECT_EQ(core_->InSync(), all);
  core_->OnTick(now_, Out());
  EXPECT_EQ(core_->InSync(), two);
}

TEST_F(OwnerTest, CountsNoAnswerAboutAnEarlierSegment) {  // guard ack-epoch
  Append(1, BlockOf(0));
  Roll(2);
  Append(2, BlockOf(1));
  Holds("a", 2, /*epoch=*/1);
  Holds("b", 2, /*epoch=*/1);
  EXPECT_FALSE(Acknowledged(1));
  EXPECT_FALSE(Acknowledged(2));
}

TEST_F(OwnerTest, CommitsNothingWhileARollIsUnderWay) {  // guard roll-freezes
  Append(1, BlockOf(0));
  core_->BeginRoll();
  Holds("a", 1);
  Holds("b", 1);
  EXPECT_FALSE(Acknowledged(1));
  EXPECT_EQ(core_->committed(), Offset(0));
  core_->AbortRoll(now_, Out());
  EXPECT_TRUE(Acknowledged(1));
}

TEST_F(OwnerTest, MovesWhatIsInFlightToTheNewSegmentAtTheSameOffsets) {
  Append(1, BlockOf(0, 2));
  Holds("a", 2);
  Roll(2);
  const auto sent = Sent<MirrorRequest>(out_.outbox, "b");
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].segment, Key(2));
  EXPECT_EQ(sent[0].first, Offset(0));
  EXPECT_TRUE(sent[0].open_snapshot.has_value());
  Holds("b", 2, 2);
  EXPECT_FALSE(Acknowledged(1));  // what a held was in the old segment
  Holds("a", 2, 2);
  EXPECT_TRUE(Acknowledged(1));
}

TEST_F(OwnerTest, AcknowledgesARepeatOnlyOnceTheOriginalIsCommitted) {  // guard repeat-waits
  Append(1, BlockOf(0));
  Append(2, BlockOf(0));
  EXPECT_THAT(results_, IsEmpty());
  Holds("a", 1);
  Holds("b", 1);
  EXPECT_TRUE(Acknowledged(1));
  EXPECT_TRUE(Acknowledged(2));
  Append(3, BlockOf(0));
  EXPECT_TRUE(Acknowledged(3));
  EXPECT_EQ(Result(3).offset, Offset(0));
  EXPECT_EQ(core_->next(), Offset(1));
}

TEST_F(OwnerTest, AcknowledgesWhatIsBehindOnceItIsCommittedHoweverLongAgo) {  // guard repeat-stored
  for (uint64_t i = 0; i < 40; i++) Append(i + 1, BlockOf(i));
  Append(100, BlockOf(3));
  EXPECT_FALSE(Acknowledged(100));  // it is not committed yet
  Holds("a", 24);
  Holds("b", 24);
  EXPECT_TRUE(Acknowledged(100));
  EXPECT_FALSE(Result(100).offset_known);
  EXPECT_TRUE(Result(4).offset_known);
  EXPECT_EQ(core_->next(), Offset(40));
}

TEST_F(OwnerTest, NeverCallsSomethingStoredNotStored) {  // G2
  Append(1, BlockOf(0, 4));
  Append(2, BlockOf(4, 4));
  Holds("a", 8);
  Holds("b", 8);
  Append(3, BlockOf(6, 4));  // reaches beyond what is stored
  Append(4, BlockOf(1, 2));  // cut in other places
  Append(5, BlockOf(0, 1, "p", 1));
  Append(6, BlockOf(0, 4));  // of the epoch that was fenced just now
  Append(7, BlockOf(8, 4));  // of that epoch, never stored
  Holds("a", 9);
  Holds("b", 9);
  Confirm();
  Confirm();  // those that came after the first question
  for (const Ticket ticket : {3, 4}) {
    EXPECT_EQ(Result(ticket).outcome, Outcome::kUnknown);
    EXPECT_EQ(Result(ticket).status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(Result(ticket).status.message()), ::testing::HasSubstr("are stored"));
  }
  EXPECT_TRUE(Acknowledged(6));
  EXPECT_FALSE(Result(6).offset_known);
  EXPECT_EQ(Result(7).outcome, Outcome::kNotStored);
}

TEST_F(OwnerTest, RefusesASequenceThatWasUsedForOtherEvents) {  // guard sequence-reused
  Append(1, BlockOf(0, 2, "p", 0, "one"));
  Append(2, BlockOf(0, 2, "p", 0, "two"));
  Confirm();
  EXPECT_EQ(Result(2).outcome, Outcome::kNotStored);
  EXPECT_EQ(Result(2).status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(Result(2).status.message()),
              ::testing::HasSubstr("sequences 0 to 1 were used for other events"));
}

TEST_F(OwnerTest, RefusesAGapAndSaysWhatItExpects) {
  Append(1, BlockOf(5));
  Confirm();
  EXPECT_EQ(Result(1).outcome, Outcome::kNotStored);
  EXPECT_EQ(Result(1).status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(Result(1).status.message()), ::testing::HasSubstr("expected 0"));
}

TEST_F(OwnerTest, RefusesRetryablyWhenItsWindowIsFull) {  // G2, G9
  Append(1, BlockOf(0, 1, "p", 0, std::string(3000, 'x')));
  Append(2, BlockOf(1, 1, "p", 0, std::string(3000, 'x')));
  EXPECT_EQ(Result(2).outcome, Outcome::kNotStored);
  EXPECT_EQ(Result(2).status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(RetryAfter(Result(2).status).has_value());
}

TEST_F(OwnerTest, SendsAgainWhatWasNotAnswered) {
  Append(1, BlockOf(0));
  core_->OnTick(now_ + absl::Milliseconds(100), Out());
  EXPECT_THAT(Sent<MirrorRequest>(out_.outbox, "b"), IsEmpty());
  core_->OnTick(now_ + absl::Seconds(1), Out());
  EXPECT_THAT(Sent<MirrorRequest>(out_.outbox, "b"), SizeIs(1));
}

TEST_F(OwnerTest, FeedsAReplicaThatLagsFromItsStoreNotFromMemory) {  // H8
  for (uint64_t i = 0; i < 5; i++) {
    Append(i + 1, BlockOf(i));
    Holds("a", i + 1);
    Holds("b", i + 1);
  }
  core_->OnPeerBack(NodeId("c"), now_, Out());
  ASSERT_THAT(out_.catch_ups, SizeIs(1));
  EXPECT_EQ(out_.catch_ups[0].second, Offset(0));
  core_->OnCatchUp(NodeId("c"), std::nullopt, {{Offset(0), BlockOf(0)}, {Offset(1), BlockOf(1)}},
                   now_, Out());
  const auto sent = Sent<MirrorRequest>(out_.outbox, "c");
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_THAT(sent[0].blocks, SizeIs(2));
}

TEST_F(OwnerTest, SaysHowFarItsBlocksHaveCome) {
  const auto reach = [&] { return core_->reach(); };
  core_->Append(BlockOf(0, 3), 1, now_, Out());
  EXPECT_EQ(reach().sent, Offset(0));
  core_->Mirror(now_, out_);
  EXPECT_EQ(reach().sent, Offset(3));
  EXPECT_EQ(reach().mirrored, Offset(0));
  Holds("b", 2);  // with the owner's own, when it has it, that is a quorum
  EXPECT_EQ(reach().mirrored, Offset(2));
  EXPECT_EQ(reach().committed, Offset(0));
  Holds("a", 3);
  EXPECT_EQ(reach().own, Offset(3));
  Holds("b", 3);
  EXPECT_EQ(reach().committed, Offset(3));
}

// Such an answer would be a defect of the replica; it must not be one of the owner as well.
TEST_F(OwnerTest, IsNotConfusedByATailInsideABlock) {
  core_->Append(BlockOf(0, 3), 1, now_, Out());
  Holds("c", 2);
  EXPECT_EQ(core_->committed(), Offset(0));
  Holds("a", 3);
  Holds("b", 3);
  EXPECT_TRUE(Acknowledged(1));
}

TEST_F(OwnerTest, ReportsAFenceOfAHigherEpoch) {
  core_->OnMirrorReply(NodeId("b"), {Key(1), ReplicaAnswer::kFenced, {}, {}, Epoch(2)}, now_,
                       Out());
  EXPECT_EQ(out_.fenced, Epoch(2));
}

// A refusal reads the producers' table, which is true only of an owner.
TEST_F(OwnerTest, RefusesOnlyOnceAQuorumHasConfirmedIt) {  // G2, guard refusal-confirmed
  Append(1, BlockOf(5));
  EXPECT_FALSE(Told(1));
  Holds("a", 0);  // says nothing about the question
  Holds("b", 0);
  EXPECT_FALSE(Told(1));
  Confirm({"a"});
  EXPECT_FALSE(Told(1));
  Append(2, BlockOf(6));  // comes after the question
  Confirm({"c"});
  EXPECT_TRUE(Told(1));
  EXPECT_FALSE(Told(2));
  Confirm();
  EXPECT_EQ(Result(2).status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(core_->Idle());
}

TEST_F(OwnerTest, AsksAgainAndInTheNewSegmentUntilItIsConfirmed) {
  Append(1, BlockOf(5));
  now_ += absl::Milliseconds(500);
  Collect();
  core_->OnTick(now_, Out());
  EXPECT_THAT(Sent<MirrorRequest>(out_.outbox, "b"), SizeIs(1));
  Roll(2);
  EXPECT_FALSE(Told(1));
  Confirm();
  EXPECT_EQ(Result(1).status.code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(OwnerTest, LetsComeAgainWhatNobodyConfirms) {  // G2, G9
  for (Ticket ticket = 1; ticket <= OwnerOptions().held_max + 1; ticket++)
    Append(ticket, BlockOf(5));
  EXPECT_TRUE(Told(OwnerOptions().held_max + 1));
  EXPECT_FALSE(Told(1));
  core_->OnTick(now_ + absl::Seconds(3), Out());
  for (const Ticket ticket : {Ticket{1}, OwnerOptions().held_max + 1}) {
    EXPECT_EQ(Result(ticket).status.code(), absl::StatusCode::kUnavailable);
    EXPECT_TRUE(RetryAfter(Result(ticket).status).has_value());
  }
}

class SettleTest : public OwnerTest {
 protected:
  SettleTest() {
    Append(1, BlockOf(0, 2));
    Append(2, BlockOf(2, 2));
  }
  // The chain as a new owner left it: our segment sealed at `end`, then others.
  static Chain TakenOver(uint64_t end, std::vector<uint64_t> later_ends = {}) {
    Chain chain{{OpenSegmentOf(1, 0)}};
    chain.segments[0].end = Offset(end);
    uint64_t base = end, epoch = 2;
    for (const uint64_t later : later_ends) {
      chain.segments.push_back(OpenSegmentOf(epoch++, base));
      chain.segments.back().end = Offset(later);
      base = later;
    }
    chain.segments.push_back(OpenSegmentOf(epoch, base));
    return chain;
  }
};

TEST_F(SettleTest, BelowTheSealedEndIsAcknowledgedBeyondItIsNotStored) {
  core_->Settle(TakenOver(2), Out());
  EXPECT_TRUE(Acknowledged(1));
  EXPECT_EQ(Result(2).outcome, Outcome::kNotStored);
  EXPECT_EQ(Result(2).status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(SettleTest, ComparesWithTheEndOfItsOwnSegmentNotOfALaterOne) {  // settle-own-segment
  core_->Settle(TakenOver(2, {4}), Out());
  EXPECT_EQ(Result(2).outcome, Outcome::kNotStored);
}

TEST_F(SettleTest, RefusesNothingForGood) {  // G2, guard refusal-confirmed
  Append(3, BlockOf(9));
  core_->Settle(TakenOver(2), Out());
  EXPECT_EQ(Result(3).status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(SettleTest, IsUnknownForARepeatThatWaitsForMoreThanItself) {  // G2
  for (uint64_t i = 2; i < 40; i++) Append(100 + i, BlockOf(2 * i, 2));
  Append(3, BlockOf(0, 2));  // of long ago, and not committed
  core_->Settle(TakenOver(2), Out());
  EXPECT_EQ(Result(3).outcome, Outcome::kUnknown);
  EXPECT_EQ(Result(102).outcome, Outcome::kNotStored);
}

TEST_F(SettleTest, IsUnknownWhenTheSegmentIsGone) {  // G2
  Chain chain{{OpenSegmentOf(3, 4)}};
  core_->Settle(chain, Out());
  EXPECT_EQ(Result(1).outcome, Outcome::kUnknown);
  EXPECT_EQ(Result(2).outcome, Outcome::kUnknown);
}

}  // namespace
}  // namespace forebay
