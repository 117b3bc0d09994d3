// RocksWalStore against the contract of WalStore, and what is its own: faults of the file system,
// power cuts, space.
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/status.h"
#include "runtime/thread_executor.h"
#include "support/rocks_harness.h"
#include "wal_store_contract.h"

namespace forebay {
namespace {

using Unsynced = FaultyFileSystem::Unsynced;

INSTANTIATE_TEST_SUITE_P(Rocks, WalStoreContract, testing::Values([] {
                           return std::unique_ptr<WalHarness>(new RocksHarness);
                         }));

class RocksWal : public testing::Test {
 protected:
  absl::Status Open(Incarnation incarnation = Incarnation(1)) {
    return harness_->Open(NodeId("a"), incarnation);
  }
  WalStore& store() { return harness_->store(); }
  absl::Status Write(std::vector<WalWrite> writes) {
    std::promise<absl::Status> done;
    store().Write(std::move(writes), [&](const absl::Status& s) { done.set_value(s); });
    return done.get_future().get();
  }
  absl::Status Append(uint64_t first, size_t payload_bytes = 100) {
    return Write({AppendBlock{Key(), Offset(first), MakeBlock(first, 1, payload_bytes)}});
  }

  std::unique_ptr<RocksHarness> harness_ = std::make_unique<RocksHarness>();
};

TEST_F(RocksWal, RefusesASecondStoreInOneDirectory) {
  ASSERT_EQ(Open(), absl::OkStatus());
  const auto second = RocksWalStore::Open(harness_->options());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists) << second.status();
}

TEST_F(RocksWal, NamesTheOptionThatIsWrong) {
  RocksWalOptions options = harness_->options();
  options.node = NodeId("a");
  EXPECT_EQ(RocksWalStore::Open(options).status().code(), absl::StatusCode::kInvalidArgument);
  options.new_incarnation = Incarnation(1);
  options.memtable_bytes = 1000;
  const absl::Status status = RocksWalStore::Open(options).status();
  EXPECT_NE(std::string(status.message()).find("memtable_bytes"), std::string::npos) << status;
}

// One write is being synced and one waits; both are settled, and where a store's callbacks run.
TEST_F(RocksWal, ClosingSettlesWhatWaitsOnAThreadOfTheStore) {
  ASSERT_EQ(Open(), absl::OkStatus());
  harness_->HoldSyncs();
  std::vector<absl::Status> settled;
  std::vector<std::thread::id> on;
  for (uint64_t fence = 1; fence <= 2; ++fence) {
    store().Write({RaiseFence{Key().partition, Epoch(fence)}}, [&](const absl::Status& status) {
      settled.push_back(status);
      on.push_back(std::this_thread::get_id());
    });
    harness_->files().WaitUntilHolding();
  }
  std::thread closer([&] { harness_->Close(); });
  const std::thread::id closes = closer.get_id();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // so that it is closing by then
  harness_->LetSyncsGo();
  closer.join();
  EXPECT_THAT(settled, testing::ElementsAre(absl::OkStatus(), absl::OkStatus()));
  EXPECT_THAT(on, testing::Each(testing::Ne(closes)));
}

TEST_F(RocksWal, OpensADirectoryThatIsNotThereYet) {
  harness_->options().directory += "/deep/er";
  EXPECT_EQ(Open(), absl::OkStatus());
}

// G1 with all zones at once: if a torn last write were taken for damage, every node would be in
// limbo after it, and nothing could be recovered.
TEST_F(RocksWal, PowerCutInAWriteIsNoDamage) {
  for (const Unsynced unsynced :
       {Unsynced::kKept, Unsynced::kGone, Unsynced::kHalf, Unsynced::kZeroed}) {
    for (const size_t payload_bytes : {100, 5'000, 90'000, 300'000}) {
      SCOPED_TRACE(static_cast<int>(unsynced));
      SCOPED_TRACE(payload_bytes);
      harness_ = std::make_unique<RocksHarness>();
      ASSERT_EQ(Open(), absl::OkStatus());
      ASSERT_EQ(Write({OpenSegment{Key(), Offset(0), ""}}), absl::OkStatus());
      for (uint64_t first = 0; first < 5; ++first) ASSERT_EQ(Append(first), absl::OkStatus());
      harness_->HoldSyncs();
      store().Write({AppendBlock{Key(), Offset(5), MakeBlock(5, 1, payload_bytes)}},
                    [](const absl::Status& status) { EXPECT_FALSE(status.ok()); });
      harness_->files().WaitUntilHolding();
      harness_->PowerCut(unsynced);
      ASSERT_EQ(Open(Incarnation(2)), absl::OkStatus());
      EXPECT_EQ(store().marker().incarnation, Incarnation(1));
      const SegmentExtent extent = store().content_at_open().segments.at(Key());
      EXPECT_GE(extent.tail, Offset(5));
      EXPECT_LE(extent.tail, Offset(6));
      EXPECT_TRUE(store().Read(Key(), Offset(0), 1 << 20).ok());
      EXPECT_EQ(Append(extent.tail.value()), absl::OkStatus());
    }
  }
}

// H18: each step of opening, writing and closing fails once, or the disk is gone from there.
class RocksWalFaults : public RocksWal {
 protected:
  // What was acknowledged: blocks below, the trim, the fence.
  struct Promised {
    bool opened = false;
    Offset start, tail;
    Epoch fence;
  };

  // Ends early when something fails.
  absl::Status RunScript(Promised& promised) {
    FOREBAY_RETURN_IF_ERROR(Open());
    FOREBAY_RETURN_IF_ERROR(Write({OpenSegment{Key(), Offset(0), "s"}}));
    promised.opened = true;
    for (uint64_t first = 0; first < 8; ++first) {
      FOREBAY_RETURN_IF_ERROR(Append(first, 200'000));
      promised.tail = Offset(first + 1);
      if (first == 4) {
        harness_->Close();
        FOREBAY_RETURN_IF_ERROR(Open());
      }
    }
    FOREBAY_RETURN_IF_ERROR(Write({RaiseFence{Key().partition, Epoch(5)}}));
    promised.fence = Epoch(5);
    return Write({TrimSegment{Key(), Offset(3), "s"}});
  }

  void CheckPromised(const Promised& promised) {
    ASSERT_EQ(Open(Incarnation(2)), absl::OkStatus());
    if (!promised.opened) return;
    EXPECT_EQ(store().marker().incarnation, Incarnation(1));
    const WalContent& content = store().content_at_open();
    ASSERT_TRUE(content.segments.contains(Key()));
    const SegmentExtent extent = content.segments.at(Key());
    EXPECT_GE(extent.tail, promised.tail);
    EXPECT_TRUE(extent.start == Offset(0) || extent.start == Offset(3));
    if (promised.fence != Epoch(0)) {
      EXPECT_EQ(content.fences.at(Key().partition), promised.fence);
    }
    for (Offset at = extent.start; at < extent.tail; at = at + 1) {
      EXPECT_TRUE(store().Read(Key(), at, 0).ok()) << store().Read(Key(), at, 0).status();
    }
    EXPECT_EQ(Append(extent.tail.value()), absl::OkStatus());
  }

  // Runs the script with its n-th change failing, for n from `from` by `step`, until it succeeds.
  void FailEach(int step, bool all, bool cut_power) {
    int failed = 0;
    for (int n = 1;; n += step) {
      SCOPED_TRACE(n);
      harness_ = std::make_unique<RocksHarness>();
      harness_->files().FailChange(n, all);
      Promised promised;
      const bool succeeded = RunScript(promised).ok();
      const bool reached = harness_->files().changes() >= n;
      if (cut_power) {
        harness_->PowerCut();
      } else {
        harness_->Close();
        harness_->files().Heal();
      }
      CheckPromised(promised);
      if (!reached) break;
      failed += succeeded ? 0 : 1;
    }
    EXPECT_GT(failed, 5);
  }
};

TEST_F(RocksWalFaults, NothingAcknowledgedIsLostWhenAnyOneCallFails) {
  FailEach(/*step=*/5, /*all=*/false, /*cut_power=*/false);
}

TEST_F(RocksWalFaults, NothingAcknowledgedIsLostWhenADiskFailsAndThePowerGoes) {
  FailEach(/*step=*/4, /*all=*/true, /*cut_power=*/true);
}

TEST_F(RocksWal, NoSpaceRefusesWritesAndLosesNothing) {
  ASSERT_EQ(Open(), absl::OkStatus());
  ASSERT_EQ(Write({OpenSegment{Key(), Offset(0), ""}}), absl::OkStatus());
  ASSERT_EQ(Append(0), absl::OkStatus());
  harness_->files().SetNoSpace(true);
  const absl::Status status = Append(1);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(std::string(status.message()).find("free space"), std::string::npos) << status;
  harness_->files().SetNoSpace(false);
  EXPECT_EQ(Append(2).code(), absl::StatusCode::kUnavailable) << "it must stay refused";
  harness_->Close();
  harness_->files().SetNoSpace(true);
  const absl::Status opened = Open(Incarnation(2));
  EXPECT_NE(std::string(opened.message()).find("make room"), std::string::npos) << opened;
  harness_->files().SetNoSpace(false);
  ASSERT_EQ(Open(Incarnation(2)), absl::OkStatus());
  EXPECT_EQ(store().marker().incarnation, Incarnation(1));
  EXPECT_TRUE(store().Read(Key(), Offset(0), 0).ok());
}

// RocksDB would try again by itself; for us an error in the background is one too (H16).
TEST_F(RocksWal, ErrorInTheBackgroundIsFinal) {
  ASSERT_EQ(Open(), absl::OkStatus());
  ASSERT_EQ(Write({OpenSegment{Key(), Offset(0), ""}}), absl::OkStatus());
  harness_->files().SetTablesFail(true);
  absl::Status status;
  uint64_t acknowledged = 0;
  while ((status = Append(acknowledged, 200'000)).ok()) ++acknowledged;
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  harness_->files().SetTablesFail(false);
  EXPECT_FALSE(Append(acknowledged).ok());
  harness_->Close();
  ASSERT_EQ(Open(Incarnation(2)), absl::OkStatus());
  EXPECT_EQ(store().marker().incarnation, Incarnation(1));
  EXPECT_GE(store().content_at_open().segments.at(Key()).tail, Offset(acknowledged));
}

// H14.
TEST_F(RocksWal, WriteThatChangesNothingCostsNoSync) {
  ASSERT_EQ(Open(), absl::OkStatus());
  ASSERT_EQ(Write({RaiseFence{Key().partition, Epoch(5)}}), absl::OkStatus());
  const int before = harness_->files().changes();
  ASSERT_EQ(Write({RaiseFence{Key().partition, Epoch(4)}}), absl::OkStatus());
  ASSERT_EQ(Write({DropSegment{Key()}}), absl::OkStatus());
  EXPECT_EQ(harness_->files().changes(), before);
}

// H19.
class RocksWalSpace : public RocksWal {
 protected:
  static constexpr size_t kPayload = 100'000;

  void Fill(const SegmentKey& key, int blocks) {
    std::promise<absl::Status> last;
    for (int i = 0; i < blocks; ++i) {
      store().Write({AppendBlock{key, Offset(i), MakeBlock(i, 1, kPayload)}},
                    [&, i](const absl::Status& status) {
                      if (i + 1 == blocks) last.set_value(status);
                    });
    }
    ASSERT_EQ(last.get_future().get(), absl::OkStatus());
  }
  // Space comes back in the background.
  bool DiskShrinksTo(uint64_t bytes) {
    for (int i = 0; i < 20'000; ++i) {
      if (harness_->DiskBytes() <= bytes) return true;
      std::this_thread::yield();
    }
    return false;
  }
};

TEST_F(RocksWalSpace, ComesBackAfterTrimming) {
  ASSERT_EQ(Open(), absl::OkStatus());
  ASSERT_EQ(Write({OpenSegment{Key(), Offset(0), ""}}), absl::OkStatus());
  Fill(Key(), 400);
  EXPECT_GT(harness_->DiskBytes(), 35u << 20);
  ASSERT_EQ(Write({TrimSegment{Key(), Offset(400), ""}}), absl::OkStatus());
  EXPECT_TRUE(DiskShrinksTo(12 << 20)) << harness_->DiskBytes();
}

TEST_F(RocksWalSpace, ComesBackAfterDroppingAlsoWhenAnotherPartitionKeepsItsBlocks) {
  ASSERT_EQ(Open(), absl::OkStatus());
  ASSERT_EQ(Write({OpenSegment{Key(1, 7), Offset(0), ""}, OpenSegment{Key(), Offset(0), ""}}),
            absl::OkStatus());
  Fill(Key(1, 7), 1);
  Fill(Key(), 400);
  ASSERT_EQ(Write({DropSegment{Key()}}), absl::OkStatus());
  EXPECT_TRUE(DiskShrinksTo(16 << 20)) << harness_->DiskBytes();
  EXPECT_TRUE(store().Read(Key(1, 7), Offset(0), 0).ok());
}

TEST_F(RocksWalSpace, OfADropThatWasCutShortComesBackAfterTheRestart) {
  ASSERT_EQ(Open(), absl::OkStatus());
  ASSERT_EQ(Write({OpenSegment{Key(), Offset(0), ""}}), absl::OkStatus());
  Fill(Key(), 300);
  harness_->Close();
  ASSERT_EQ(Open(), absl::OkStatus());
  // The drop is durable, the deletions that follow it are not.
  std::promise<void> dropped;
  store().Write({DropSegment{Key()}}, [&](const absl::Status& status) {
    EXPECT_EQ(status, absl::OkStatus());
    harness_->files().CutPower();
    dropped.set_value();
  });
  dropped.get_future().wait();
  harness_->PowerCut();
  ASSERT_EQ(Open(Incarnation(2)), absl::OkStatus());
  EXPECT_TRUE(store().content_at_open().segments.empty());
  ASSERT_EQ(Write({OpenSegment{Key(), Offset(0), ""}}), absl::OkStatus());
  EXPECT_TRUE(DiskShrinksTo(12 << 20)) << harness_->DiskBytes();
}

TEST_F(RocksWal, ManyWritersReadersAndTrimsAgree) {
  constexpr int kPartitions = 6;
  constexpr uint64_t kBlocks = 300;
  ASSERT_EQ(Open(), absl::OkStatus());
  std::vector<std::unique_ptr<ThreadExecutor>> threads;
  for (int p = 0; p < kPartitions; ++p) {
    threads.push_back(std::make_unique<ThreadExecutor>("writer"));
    threads.back()->Post([this, key = Key(1, p)] {
      EXPECT_EQ(Write({OpenSegment{key, Offset(0), ""}}), absl::OkStatus());
      for (uint64_t i = 0; i < kBlocks; ++i) {
        std::vector<WalWrite> writes{AppendBlock{key, Offset(i), MakeBlock(i, 1, 3000)}};
        if (i % 10 == 9) writes.push_back(TrimSegment{key, Offset(i - 5), std::to_string(i)});
        store().Write(std::move(writes), [](const absl::Status& s) { EXPECT_TRUE(s.ok()); });
        if (i < 8) continue;
        const auto read = store().Read(key, Offset(i - 4), 1 << 20);
        ASSERT_TRUE(read.ok()) << read.status();
        EXPECT_EQ(read->size(), 5u);
        EXPECT_EQ(read->back().block.bytes(), MakeBlock(i, 1, 3000).bytes());
      }
    });
  }
  threads.clear();  // each ends its task first
  harness_->Close();
  ASSERT_EQ(Open(Incarnation(2)), absl::OkStatus());
  for (int p = 0; p < kPartitions; ++p) {
    EXPECT_EQ(store().content_at_open().segments.at(Key(1, p)),
              (SegmentExtent{Offset(kBlocks - 6), Offset(kBlocks)}));
    EXPECT_EQ(*store().ReadSnapshot(Key(1, p)), std::to_string(kBlocks - 1));
  }
}

}  // namespace
}  // namespace forebay
