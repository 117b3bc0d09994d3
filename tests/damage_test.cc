// Blocks and snapshots that a node holds and cannot read: what it says about such a copy, and how
// it is written again (G10, docs/decisions/0022-damaged-disks.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "replication/core/mender.h"
#include "replication/core/repair.h"
#include "replication/core/replica.h"
#include "replication/core/scrubber.h"
#include "replication/core/sealer.h"
#include "support/protocol_fixture.h"

namespace forebay {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DamageTest : public ::testing::Test {
 protected:
  // Node b holds blocks 0 to 4 of epoch 1, one event each; the chain has sealed them at 4.
  DamageTest() {
    MirrorRequest request;
    request.segment = Key(1);
    request.incarnation = Incarnation(1);
    request.open_snapshot = ProducerTable().Encode(ProducerTable::kFormat);
    for (uint64_t i = 0; i < 4; i++) request.blocks.push_back(BlockOf(i));
    Write(replica_.OnMirror(NodeId("a"), request, out_));
    view_.chain_version = 5;
    view_.chain.segments = {OpenSegmentOf(1, 0), OpenSegmentOf(2, 4)};
    view_.chain.segments[0].end = Offset(4);
    view_.copies = 3;
    for (const char* node : {"a", "b", "c"}) {
      view_.nodes.push_back({RecordOf(node), true, false, false, NodeId()});
    }
  }
  ReplicaCore::Writes Write(ReplicaCore::Writes writes) {
    if (!writes.empty()) replica_.OnDurable(out_);
    return writes;
  }
  CopyReply Copy(uint64_t first, std::vector<Block> blocks) {
    out_ = Outbox();
    last_ = Write(replica_.OnCopy(
        NodeId("x"),
        {Key(1), Incarnation(1), Epoch(2), 5, std::nullopt, Offset(first), std::move(blocks)},
        out_));
    return Sent<CopyReply>(out_, "x").back();
  }
  template <typename T>
  std::vector<T> Written() const {
    std::vector<T> found;
    for (const WalWrite& write : last_) {
      if (const T* one = std::get_if<T>(&write)) found.push_back(*one);
    }
    return found;
  }
  bool Damage(uint64_t offset) { return replica_.OnDamage(Key(1), {Offset(offset)}); }
  void Survey() {
    out_ = Outbox();
    last_ = Write(mender_.Survey(view_, replica_, now_, out_));
    Loop();
  }
  // What the mender says to its own node is done at once.
  void Loop() {
    for (int i = 0; i < 5; i++) {
      for (const auto& request : Sent<CopyRequest>(std::exchange(sent_, {}), "b")) {
        last_ = Write(replica_.OnCopy(NodeId("b"), request, out_));
      }
      Outbox all = std::exchange(out_, Outbox());
      for (auto& [to, message] : all.messages) {
        if (const auto* reply = std::get_if<CopyReply>(&message); reply != nullptr) {
          mender_.OnCopyReply(NodeId("b"), *reply, now_, out_);
        } else if (std::holds_alternative<CopyRequest>(message)) {
          sent_.messages.emplace_back(to, message);
        } else {
          fetches_.messages.emplace_back(to, message);
        }
      }
      for (auto& item : std::exchange(out_, Outbox()).messages) {
        (std::holds_alternative<CopyRequest>(item.second) ? sent_ : fetches_)
            .messages.push_back(std::move(item));
      }
    }
  }
  // Answers all that was fetched from the node.
  void Serve(const std::string& node, FetchAnswer answer) {
    const auto asked = Sent<FetchRequest>(fetches_, node);
    ASSERT_FALSE(asked.empty()) << "nothing was fetched from " << node;
    fetches_ = Outbox();
    for (const FetchRequest& request : asked) {
      FetchReply reply{request.request, Key(1), answer, {Offset(0), Offset(4)}, {}, {}};
      reply.snapshot = ProducerTable().Encode(ProducerTable::kFormat);
      for (uint64_t i = request.from.value(); i < 4; i++) {
        reply.blocks.push_back({Offset(i), BlockOf(i)});
      }
      if (answer != FetchAnswer::kHave) reply.blocks.clear();
      mender_.OnFetchReply(NodeId(node), reply, now_, out_);
    }
    Loop();
  }

  absl::Time now_ = absl::UnixEpoch();
  ReplicaCore replica_{NodeId("b"), Incarnation(1), WalContent()};
  MendCore mender_{kPartition, NodeId("b"), 0};
  RepairView view_;
  Outbox out_, sent_, fetches_;
  ReplicaCore::Writes last_;
};

TEST_F(DamageTest, ADamagedCopyIsWholeOnlyUpToTheDamage) {  // damage-not-whole
  EXPECT_EQ(Copy(4, {}).extent.tail, Offset(4));
  EXPECT_TRUE(Damage(2));
  EXPECT_FALSE(Damage(2)) << "known already";
  EXPECT_EQ(Copy(4, {}).extent.tail, Offset(2));
}

TEST_F(DamageTest, WhatIsAppendedToADamagedCopyIsAcknowledged) {
  Damage(2);
  MirrorRequest request;
  request.segment = Key(1);
  request.incarnation = Incarnation(1);
  request.first = Offset(4);
  request.blocks = {BlockOf(4)};
  out_ = Outbox();
  Write(replica_.OnMirror(NodeId("a"), request, out_));
  EXPECT_EQ(Sent<MirrorReply>(out_, "a").back().tail, Offset(5));
}

TEST_F(DamageTest, ACopyOfTheDamagedBlockIsWrittenOverItAndThenTheCopyIsWhole) {
  Damage(2);
  EXPECT_EQ(Copy(1, {BlockOf(1), BlockOf(2), BlockOf(3)}).extent.tail, Offset(4));
  ASSERT_THAT(Written<RestoreBlock>(), SizeIs(1));
  EXPECT_EQ(Written<RestoreBlock>()[0].first, Offset(2));
  EXPECT_THAT(replica_.damaged(), IsEmpty());
  EXPECT_THAT(replica_.TakeRestored(), SizeIs(1));
}

TEST_F(DamageTest, IsWholeAgainOnlyOnceTheBlockIsDurable) {  // damage-durable
  Damage(2);
  Outbox out;
  const auto writes = replica_.OnCopy(
      NodeId("x"), {Key(1), Incarnation(1), Epoch(2), 5, std::nullopt, Offset(2), {BlockOf(2)}},
      out);
  EXPECT_FALSE(writes.empty());
  EXPECT_THAT(replica_.damaged(), SizeIs(1));
  replica_.OnDurable(out);
  EXPECT_THAT(replica_.damaged(), IsEmpty());
}

TEST_F(DamageTest, AFenceAnswerTellsTheWholeTailAndThatSomeOfItIsDamaged) {  // damage-told
  Damage(2);
  out_ = Outbox();
  Write(replica_.OnFence(NodeId("x"), {Key(1), Incarnation(1), Epoch(3)}, out_));
  const FenceReply reply = Sent<FenceReply>(out_, "x").back();
  EXPECT_EQ(reply.tail, Offset(4)) << "a lower one could cut off what was acknowledged (H3)";
  EXPECT_TRUE(reply.damaged);
}

TEST_F(DamageTest, WhatItsPeersHaveTrimmedIsTrimmedInsteadOfRestored) {
  Damage(1);
  out_ = Outbox();
  last_ = Write(replica_.OnCopy(
      NodeId("x"), {Key(1), Incarnation(1), Epoch(2), 5, "true at 3", Offset(3), {BlockOf(3)}},
      out_));
  ASSERT_THAT(Written<TrimSegment>(), SizeIs(1));
  EXPECT_EQ(Written<TrimSegment>()[0].start, Offset(3));
  EXPECT_THAT(replica_.damaged(), IsEmpty());
}

TEST_F(DamageTest, TheNodeFetchesFromOneAfterTheOtherUntilItHasTheBlock) {
  Damage(2);
  Survey();
  Serve("a", FetchAnswer::kUnknown);  // damaged there too
  Serve("c", FetchAnswer::kHave);
  EXPECT_THAT(Written<RestoreBlock>(), SizeIs(1));
  EXPECT_THAT(replica_.damaged(), IsEmpty());
}

TEST_F(DamageTest, ADamagedSnapshotIsRestoredFromAPeersSnapshot) {
  EXPECT_TRUE(replica_.OnDamage(Key(1), {}));
  EXPECT_EQ(Copy(4, {}).extent.tail, Offset(0));
  Survey();
  Serve("a", FetchAnswer::kHave);
  Survey();
  EXPECT_THAT(replica_.damaged(), IsEmpty());
}

TEST_F(DamageTest, IsGivenUpForAWhileWhenNoReplicaHasIt) {
  Damage(2);
  for (int i = 0; i < 40 && !replica_.damaged().begin()->second.given_up; i++) {
    Survey();
    mender_.OnTick(now_, out_);
    Loop();
    for (const char* node : {"a", "c"}) {
      if (!Sent<FetchRequest>(fetches_, node).empty()) Serve(node, FetchAnswer::kUnknown);
    }
    now_ += absl::Milliseconds(310);
  }
  EXPECT_TRUE(replica_.damaged().begin()->second.given_up);
  EXPECT_EQ(Copy(4, {}).extent.tail, Offset(4)) << "nothing is gained by holding others up";
  now_ += absl::Seconds(11);
  Survey();
  EXPECT_FALSE(replica_.damaged().begin()->second.given_up) << "it is tried again";
}

TEST_F(DamageTest, WhatIsBeyondASealedEndIsOfNoInterest) {
  view_.chain.segments[0].end = Offset(2);
  Damage(3);
  Survey();
  EXPECT_THAT(replica_.damaged(), IsEmpty());
  EXPECT_THAT(fetches_.messages, IsEmpty());
}

TEST_F(DamageTest, ATakeoverDoesNotCountADamagedCopy) {  // damage-no-holder
  Chain chain{{OpenSegmentOf(2, 4)}};
  SealerCore sealer(kPartition, 9, chain, RecordOf("b", 1, 5), 0);
  Outbox out;
  sealer.Start({RecordOf("b", 1, 5), RecordOf("c")}, now_, out);
  for (const char* node : {"b", "c"}) {
    sealer.OnFenceReply(NodeId(node),
                        {Key(2), Epoch(3), ReplicaAnswer::kHolds, Epoch(), Offset(4), Offset(6),
                         node == std::string("c")},
                        now_, out);
  }
  // It says so of all it holds, so it is asked for a copy like one that lacks something.
  EXPECT_EQ(sealer.phase(), SealerCore::Phase::kCopying);
  EXPECT_THAT(Sent<CopyRequest>(out, "c"), SizeIs(1));
}

TEST_F(DamageTest, RepairAsksAgainWhatADamagedNodeHolds) {  // damage-asks-again
  RepairCore repair(kPartition, NodeId("a"), 0);
  Outbox out;
  repair.Survey(view_, now_, out);
  for (const char* node : {"a", "b", "c"}) {
    repair.OnCopyReply(NodeId(node),
                       {Key(1), Epoch(2), ReplicaAnswer::kHolds, {Offset(0), Offset(4)}, {}, 5},
                       now_, out);
  }
  EXPECT_EQ(repair.HoldersOf(view_.chain.segments[0]).size(), 3u);
  view_.nodes[1].record.damage = 77;
  out = Outbox();
  repair.Survey(view_, now_, out);
  EXPECT_THAT(repair.HoldersOf(view_.chain.segments[0]), ElementsAre(NodeId("a"), NodeId("c")));
  EXPECT_THAT(Sent<CopyRequest>(out, "b"), SizeIs(1));
}

TEST(Scrubber, ReadsNoFasterThanItIsToldAndStartsOverLater) {
  Scrubber scrubber({.scrub_bytes_per_second = 1 << 20, .scrub_every = absl::Seconds(100)});
  absl::Time now = absl::UnixEpoch();
  ASSERT_TRUE(scrubber.NeedsSegments(now));
  scrubber.Begin({Key(1)}, now);
  auto step = scrubber.Next(now);
  ASSERT_TRUE(step.has_value());
  EXPECT_FALSE(scrubber.Next(now).has_value()) << "one at a time";
  scrubber.Done(*step, {.bytes = 512 << 10, .next = Offset(7)}, now);
  EXPECT_FALSE(scrubber.Next(now + absl::Milliseconds(499)).has_value());
  now += absl::Milliseconds(500);
  step = scrubber.Next(now);
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->from, Offset(7));
  scrubber.Done(*step, {}, now);
  step = scrubber.Next(now);
  EXPECT_EQ(step->what, Scrubber::Step::What::kFiles);
  scrubber.Done(*step, {.files_done = true}, now);
  EXPECT_EQ(scrubber.passes(), 1u);
  EXPECT_FALSE(scrubber.NeedsSegments(now + absl::Seconds(50)));
  EXPECT_TRUE(scrubber.NeedsSegments(now + absl::Seconds(100)));
}

TEST(Scrubber, ReadsNothingWhenItIsOff) {
  const Scrubber scrubber({.scrub_bytes_per_second = 0});
  EXPECT_FALSE(scrubber.NeedsSegments(absl::UnixEpoch() + absl::Hours(10)));
}

}  // namespace
}  // namespace forebay
