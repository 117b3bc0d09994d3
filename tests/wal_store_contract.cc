#include "wal_store_contract.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "runtime/real_clock.h"

namespace forebay {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WalStoreContract);

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

MATCHER_P(Reads, offsets, "") {
  *result_listener << arg.status().ToString();
  return arg.ok() && *arg == std::vector<uint64_t>(offsets);
}
using Offsets = std::vector<uint64_t>;

TEST_P(WalStoreContract, StartsEmptyUnderTheNewIncarnation) {
  EXPECT_EQ(store().marker(), (WalMarker{node_, Incarnation(1)}));
  EXPECT_THAT(store().content_at_open().segments, IsEmpty());
  EXPECT_THAT(store().content_at_open().fences, IsEmpty());
}

TEST_P(WalStoreContract, ReadsBackWhatWasAppended) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(10)), absl::OkStatus());
  AppendBlocks(Key(), Offset(10), 3);
  EXPECT_THAT(ReadOffsets(Key(), Offset(10)), Reads(Offsets{10, 12, 14}));
  EXPECT_THAT(ReadOffsets(Key(), Offset(14)), Reads(Offsets{14}));
  EXPECT_EQ(store().Read(Key(), Offset(12), 1 << 20)->front().block.Decode()->size(), 2u);
}

TEST_P(WalStoreContract, KeepsSegmentsApart) {
  ASSERT_EQ(OpenSegmentAt(Key(1), Offset(0)), absl::OkStatus());
  ASSERT_EQ(OpenSegmentAt(Key(2), Offset(4)), absl::OkStatus());
  ASSERT_EQ(OpenSegmentAt(Key(1, 7), Offset(100)), absl::OkStatus());
  AppendBlocks(Key(1), Offset(0), 3);
  AppendBlocks(Key(2), Offset(4), 2);
  AppendBlocks(Key(1, 7), Offset(100), 1);
  Reopen();
  EXPECT_THAT(ReadOffsets(Key(1), Offset(0)), Reads(Offsets{0, 2, 4}));
  EXPECT_THAT(ReadOffsets(Key(2), Offset(4)), Reads(Offsets{4, 6}));
  EXPECT_THAT(ReadOffsets(Key(1, 7), Offset(100)), Reads(Offsets{100}));
}

TEST_P(WalStoreContract, KeepsEverythingOverACleanRestart) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(10), "producers"), absl::OkStatus());
  AppendBlocks(Key(), Offset(10), 3);
  ASSERT_EQ(Write({RaiseFence{Key().partition, Epoch(5)}}), absl::OkStatus());
  for (int restart = 0; restart < 3; ++restart) {
    Reopen(Incarnation(restart + 2));
    EXPECT_EQ(store().marker(), (WalMarker{node_, Incarnation(1)}));
    EXPECT_EQ(ExtentAtOpen(Key()), (SegmentExtent{Offset(10), Offset(16)}));
    EXPECT_EQ(store().content_at_open().fences.at(Key().partition), Epoch(5));
    EXPECT_EQ(*store().ReadSnapshot(Key()), "producers");
    EXPECT_THAT(ReadOffsets(Key(), Offset(10)), Reads(Offsets{10, 12, 14}));
  }
  AppendBlocks(Key(), Offset(16), 1);
  EXPECT_THAT(ReadOffsets(Key(), Offset(14)), Reads(Offsets{14, 16}));
}

TEST_P(WalStoreContract, ReadsSeeWritesThatAreNotDurableYet) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  AppendBlocks(Key(), Offset(0), 2);
  harness_->HoldSyncs();
  auto one = Start({AppendBlock{Key(), Offset(4), MakeBlock(4)}});
  auto two = Start({AppendBlock{Key(), Offset(6), MakeBlock(6)}});
  auto three = Start({OpenSegment{Key(2), Offset(8), "fresh"}});
  EXPECT_THAT(ReadOffsets(Key(), Offset(0)), Reads(Offsets{0, 2, 4, 6}));
  EXPECT_THAT(ReadOffsets(Key(), Offset(6)), Reads(Offsets{6}));
  EXPECT_THAT(ReadOffsets(Key(), Offset(5)), Reads(Offsets{4, 6}));
  EXPECT_EQ(*store().ReadSnapshot(Key(2)), "fresh");
  harness_->LetSyncsGo();
  EXPECT_EQ(three.get(), absl::OkStatus());
  EXPECT_THAT(ReadOffsets(Key(), Offset(0)), Reads(Offsets{0, 2, 4, 6}));
  EXPECT_EQ(*store().ReadSnapshot(Key(2)), "fresh");
}

// G1, H5: acknowledged before the sync is lost with the power.
TEST_P(WalStoreContract, CompletesInOrderAndOnlyAfterTheSync) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  harness_->HoldSyncs();
  std::atomic<int> completed = 0;
  std::vector<int> order;
  std::promise<void> all;
  for (int i = 0; i < 10; ++i) {
    store().Write({AppendBlock{Key(), Offset(2 * i), MakeBlock(2 * i)}},
                  [&, i](const absl::Status& status) {
                    EXPECT_EQ(status, absl::OkStatus());
                    order.push_back(i);
                    if (++completed == 10) all.set_value();
                  });
  }
  EXPECT_EQ(completed, 0);
  EXPECT_GT(store().stats().queued_bytes, 0u);
  harness_->LetSyncsGo();
  all.get_future().wait();
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_EQ(store().stats().queued_bytes, 0u);
}

// H15: an owner has to see that its disk stands still.
TEST_P(WalStoreContract, SaysHowLongTheOldestWriteWaits) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  EXPECT_EQ(store().stats().oldest_wait, absl::ZeroDuration());
  harness_->HoldSyncs();
  auto oldest = Start({AppendBlock{Key(), Offset(0), MakeBlock(0)}});
  const RealClock clock;
  const absl::Time limit = clock.Now() + absl::Seconds(10);
  while (store().stats().oldest_wait < absl::Milliseconds(20) && clock.Now() < limit) {
    std::this_thread::yield();
  }
  auto newer = Start({AppendBlock{Key(), Offset(2), MakeBlock(2)}});
  EXPECT_GE(store().stats().oldest_wait, absl::Milliseconds(20));
  harness_->LetSyncsGo();
  ASSERT_EQ(oldest.get(), absl::OkStatus());
  ASSERT_EQ(newer.get(), absl::OkStatus());
  EXPECT_EQ(store().stats().oldest_wait, absl::ZeroDuration());
}

TEST_P(WalStoreContract, WaitingWritesShareASync) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  harness_->HoldSyncs();
  std::future<absl::Status> last;
  for (int i = 0; i < 50; ++i) {
    last = Start({AppendBlock{Key(), Offset(2 * i), MakeBlock(2 * i)}});
  }
  harness_->LetSyncsGo();
  ASSERT_EQ(last.get(), absl::OkStatus());
  EXPECT_LE(store().stats().syncs, 3u);
}

TEST_P(WalStoreContract, PowerCutLeavesAPrefixWithAllThatWasDurable) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0), "s"), absl::OkStatus());
  AppendBlocks(Key(), Offset(0), 5);
  ASSERT_EQ(Write({RaiseFence{Key().partition, Epoch(9)}}), absl::OkStatus());
  harness_->HoldSyncs();
  for (int i = 5; i < 20; ++i) {
    // No completion ever comes for these.
    store().Write({AppendBlock{Key(), Offset(2 * i), MakeBlock(2 * i)},
                   RaiseFence{Key(1, 1).partition, Epoch(i)}},
                  [](const absl::Status& status) { EXPECT_FALSE(status.ok()); });
  }
  harness_->PowerCut();
  ASSERT_EQ(harness_->Open(node_, Incarnation(2)), absl::OkStatus());
  EXPECT_EQ(store().marker().incarnation, Incarnation(1));
  EXPECT_EQ(ExtentAtOpen(Key()), (SegmentExtent{Offset(0), Offset(10)}));
  EXPECT_EQ(store().content_at_open().fences.at(Key().partition), Epoch(9));
  EXPECT_FALSE(store().content_at_open().fences.contains(Key(1, 1).partition));
  EXPECT_THAT(ReadOffsets(Key(), Offset(0)), Reads(Offsets{0, 2, 4, 6, 8}));
  AppendBlocks(Key(), Offset(10), 1);
  EXPECT_THAT(ReadOffsets(Key(), Offset(8)), Reads(Offsets{8, 10}));
}

TEST_P(WalStoreContract, FenceNeverGoesDown) {
  ASSERT_EQ(Write({RaiseFence{Key().partition, Epoch(7)}, RaiseFence{Key().partition, Epoch(3)}}),
            absl::OkStatus());
  ASSERT_EQ(Write({RaiseFence{Key().partition, Epoch(6)}}), absl::OkStatus());
  Reopen();
  EXPECT_EQ(store().content_at_open().fences.at(Key().partition), Epoch(7));
  ASSERT_EQ(Write({RaiseFence{Key().partition, Epoch(2)}}), absl::OkStatus());
  Reopen();
  EXPECT_EQ(store().content_at_open().fences.at(Key().partition), Epoch(7));
}

TEST_P(WalStoreContract, TrimDropsWhatIsBelowAndReplacesTheSnapshot) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0), "at 0"), absl::OkStatus());
  AppendBlocks(Key(), Offset(0), 5);
  ASSERT_EQ(Write({TrimSegment{Key(), Offset(4), "at 4"}}), absl::OkStatus());
  for (int pass = 0; pass < 2; ++pass) {
    EXPECT_EQ(ReadCode(Key(), Offset(0)), absl::StatusCode::kNotFound);
    EXPECT_EQ(ReadCode(Key(), Offset(3)), absl::StatusCode::kNotFound);
    EXPECT_THAT(ReadOffsets(Key(), Offset(4)), Reads(Offsets{4, 6, 8}));
    EXPECT_EQ(*store().ReadSnapshot(Key()), "at 4");
    Reopen();
    EXPECT_EQ(ExtentAtOpen(Key()), (SegmentExtent{Offset(4), Offset(10)}));
  }
}

TEST_P(WalStoreContract, TrimmedToItsTailASegmentGoesOn) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  AppendBlocks(Key(), Offset(0), 3);
  ASSERT_EQ(Write({TrimSegment{Key(), Offset(6), "at 6"}}), absl::OkStatus());
  EXPECT_EQ(ReadCode(Key(), Offset(4)), absl::StatusCode::kNotFound);
  Reopen();
  EXPECT_EQ(ExtentAtOpen(Key()), (SegmentExtent{Offset(6), Offset(6)}));
  AppendBlocks(Key(), Offset(6), 2);
  Reopen();
  EXPECT_EQ(ExtentAtOpen(Key()), (SegmentExtent{Offset(6), Offset(10)}));
  EXPECT_THAT(ReadOffsets(Key(), Offset(6)), Reads(Offsets{6, 8}));
}

TEST_P(WalStoreContract, OneBatchMayOpenAppendTrimAndDrop) {
  ASSERT_EQ(
      Write({OpenSegment{Key(), Offset(0), "a"}, AppendBlock{Key(), Offset(0), MakeBlock(0)},
             AppendBlock{Key(), Offset(2), MakeBlock(2)}, TrimSegment{Key(), Offset(2), "b"}}),
      absl::OkStatus());
  EXPECT_THAT(ReadOffsets(Key(), Offset(2)), Reads(Offsets{2}));
  ASSERT_EQ(Write({DropSegment{Key()}, OpenSegment{Key(), Offset(2), "c"},
                   AppendBlock{Key(), Offset(2), MakeBlock(2, 3)}}),
            absl::OkStatus());
  // What is left of the dropped one is deleted with a later write.
  ASSERT_EQ(Append(Key(), Offset(5), MakeBlock(5)), absl::OkStatus());
  Reopen();
  EXPECT_EQ(ExtentAtOpen(Key()), (SegmentExtent{Offset(2), Offset(7)}));
  EXPECT_EQ(*store().ReadSnapshot(Key()), "c");
  EXPECT_EQ(store().Read(Key(), Offset(2), 1)->front().block.event_count(), 3u);
}

TEST_P(WalStoreContract, DroppedSegmentLeavesNothingToOneThatIsOpenedLater) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0), "old"), absl::OkStatus());
  AppendBlocks(Key(), Offset(0), 5);
  ASSERT_EQ(Write({DropSegment{Key()}}), absl::OkStatus());
  EXPECT_EQ(ReadCode(Key(), Offset(0)), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().ReadSnapshot(Key()).status().code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(2), "new"), absl::OkStatus());
  EXPECT_EQ(ReadCode(Key(), Offset(2)), absl::StatusCode::kNotFound);
  AppendBlocks(Key(), Offset(2), 1);
  Reopen();
  EXPECT_EQ(ExtentAtOpen(Key()), (SegmentExtent{Offset(2), Offset(4)}));
  EXPECT_THAT(ReadOffsets(Key(), Offset(2)), Reads(Offsets{2}));
  EXPECT_EQ(*store().ReadSnapshot(Key()), "new");
  ASSERT_EQ(Write({DropSegment{Key(2)}}), absl::OkStatus()) << "dropping nothing is no error";
}

TEST_P(WalStoreContract, ReadIsLimitedButNeverEmpty) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  AppendBlocks(Key(), Offset(0), 70);
  const size_t block_bytes = MakeBlock(0).bytes().size();
  EXPECT_THAT(ReadOffsets(Key(), Offset(0), 0), Reads(Offsets{0}));
  EXPECT_THAT(ReadOffsets(Key(), Offset(0), 2 * block_bytes + 10), Reads(Offsets{0, 2}));
  EXPECT_EQ(store().Read(Key(), Offset(0), 1 << 30)->size(), 64u);
}

TEST_P(WalStoreContract, SaysWhatItSurelyDoesNotHave) {
  EXPECT_EQ(ReadCode(Key(), Offset(0)), absl::StatusCode::kNotFound);
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(10)), absl::OkStatus());
  EXPECT_EQ(ReadCode(Key(), Offset(10)), absl::StatusCode::kNotFound);
  AppendBlocks(Key(), Offset(10), 1);
  EXPECT_EQ(ReadCode(Key(), Offset(9)), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadCode(Key(), Offset(12)), absl::StatusCode::kNotFound);
  EXPECT_THAT(ReadOffsets(Key(), Offset(11)), Reads(Offsets{10}));
}

// H16: a sync that is tried again after a failure lies.
TEST_P(WalStoreContract, AfterAFailedSyncRefusesEveryWriteUntilOpenedAnew) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  AppendBlocks(Key(), Offset(0), 2);
  harness_->FailNextSync();
  EXPECT_EQ(Append(Key(), Offset(4), MakeBlock(4)).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Append(Key(), Offset(6), MakeBlock(6)).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Write({RaiseFence{Key().partition, Epoch(3)}}).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReadCode(Key(), Offset(0)), absl::StatusCode::kUnavailable);
  harness_->PowerCut();
  ASSERT_EQ(harness_->Open(node_, Incarnation(2)), absl::OkStatus());
  EXPECT_EQ(ExtentAtOpen(Key()), (SegmentExtent{Offset(0), Offset(4)}));
  AppendBlocks(Key(), Offset(4), 1);
}

// H3, G10: what is damaged was there.
TEST_P(WalStoreContract, DamagedBlockIsDataLossAndTheOthersAreServed) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  // Large, so that no two of them share a block of a table file.
  for (uint64_t first = 0; first < 4; ++first) {
    ASSERT_EQ(Append(Key(), Offset(first), MakeBlock(first, 1, 40'000)), absl::OkStatus());
  }
  harness_->Close();
  harness_->Damage(Key(), {Offset(2), MakeBlock(2, 1, 40'000)});
  ASSERT_EQ(harness_->Open(node_, Incarnation(2)), absl::OkStatus());
  EXPECT_EQ(ExtentAtOpen(Key()), (SegmentExtent{Offset(0), Offset(4)}));
  EXPECT_EQ(store().Read(Key(), Offset(0), 1 << 20)->size(), 2u);
  EXPECT_EQ(ReadCode(Key(), Offset(2)), absl::StatusCode::kDataLoss);
  EXPECT_EQ(store().Read(Key(), Offset(3), 1 << 20)->size(), 1u);
}

// G10: repaired in place, and stays so.
TEST_P(WalStoreContract, DamagedBlockIsWrittenAgainOnlyByTheVeryBlockThatWasStored) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  for (uint64_t first = 0; first < 4; ++first) {
    ASSERT_EQ(Append(Key(), Offset(first), MakeBlock(first, 1, 40'000)), absl::OkStatus());
  }
  harness_->Close();
  harness_->Damage(Key(), {Offset(2), MakeBlock(2, 1, 40'000)});
  ASSERT_EQ(harness_->Open(node_, Incarnation(2)), absl::OkStatus());
  // Of the same size, so that only the checksum tells.
  ASSERT_EQ(Write({RestoreBlock{Key(), Offset(2), MakeBlock(3, 1, 40'000)}}), absl::OkStatus());
  EXPECT_EQ(ReadCode(Key(), Offset(2)), absl::StatusCode::kDataLoss);
  ASSERT_EQ(Write({RestoreBlock{Key(), Offset(2), MakeBlock(2, 1, 40'000)}}), absl::OkStatus());
  const auto read = store().Read(Key(), Offset(2), 0);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->front().block.bytes(), MakeBlock(2, 1, 40'000).bytes());
  harness_->PowerCut();
  ASSERT_EQ(harness_->Open(node_, Incarnation(3)), absl::OkStatus());
  EXPECT_EQ(store().marker().incarnation, Incarnation(1));
  EXPECT_EQ(store().Read(Key(), Offset(0), 1 << 20)->size(), 4u);
}

TEST_P(WalStoreContract, RestoringWhatIsNotHeldChangesNothing) {
  ASSERT_EQ(Write({RestoreBlock{Key(), Offset(0), MakeBlock(0)}}), absl::OkStatus());
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  AppendBlocks(Key(), Offset(0), 2);
  ASSERT_EQ(Write({RestoreBlock{Key(), Offset(1), MakeBlock(0)},
                   RestoreBlock{Key(), Offset(4), MakeBlock(9)}}),
            absl::OkStatus());
  EXPECT_EQ(ReadCode(Key(), Offset(4)), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().Read(Key(), Offset(0), 1 << 20)->size(), 2u);
}

// A copier that was told wrong must not do what a flipped bit does.
TEST_P(WalStoreContract, ABlockThatIsWellIsNotWrittenOverByAnother) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  AppendBlocks(Key(), Offset(0), 2);
  const Block other = MakeBlock(1);
  ASSERT_EQ(other.bytes().size(), MakeBlock(0).bytes().size());
  ASSERT_EQ(Write({RestoreBlock{Key(), Offset(0), other}}), absl::OkStatus());
  EXPECT_THAT(*ReadOffsets(Key(), Offset(0)), ElementsAre(0, 2));
  Reopen();
  EXPECT_THAT(*ReadOffsets(Key(), Offset(0)), ElementsAre(0, 2));
}

TEST_P(WalStoreContract, SnapshotIsReplacedAtTheSameStart) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  ASSERT_EQ(Write({RestoreSnapshot{Key(), Offset(0), "again"}}), absl::OkStatus());
  EXPECT_EQ(*store().ReadSnapshot(Key()), "again");
  harness_->PowerCut();
  ASSERT_EQ(harness_->Open(node_, Incarnation(2)), absl::OkStatus());
  EXPECT_EQ(*store().ReadSnapshot(Key()), "again");
}

TEST_P(WalStoreContract, RefusesTheDiskOfAnotherNode) {
  harness_->Close();
  const absl::Status status = harness_->Open(NodeId("node-b"), Incarnation(2));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("node-a"));
  ASSERT_EQ(harness_->Open(node_, Incarnation(3)), absl::OkStatus());
  EXPECT_EQ(store().marker().incarnation, Incarnation(1));
}

// H4: an empty disk is not a node that holds nothing.
TEST_P(WalStoreContract, WipedDiskComesBackUnderANewIncarnation) {
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  harness_->Close();
  harness_->Wipe();
  ASSERT_EQ(harness_->Open(node_, Incarnation(2)), absl::OkStatus());
  EXPECT_EQ(store().marker().incarnation, Incarnation(2));
  EXPECT_THAT(store().content_at_open().segments, IsEmpty());
}

TEST_P(WalStoreContract, AbortsOnAnAppendThatIsNotAtTheTail) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  EXPECT_DEATH(Append(Key(), Offset(2), MakeBlock(2)).IgnoreError(), "not at the tail");
}

TEST_P(WalStoreContract, AbortsOnATrimInsideABlock) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  ASSERT_EQ(OpenSegmentAt(Key(), Offset(0)), absl::OkStatus());
  AppendBlocks(Key(), Offset(0), 2);
  EXPECT_DEATH(Write({TrimSegment{Key(), Offset(1), ""}}).IgnoreError(), "inside a block");
}

}  // namespace
}  // namespace forebay
