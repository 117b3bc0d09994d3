// MemoryWalStore against the contract of WalStore, and what is its own.
#include "runtime/real_clock.h"
#include "runtime/thread_executor.h"
#include "wal/memory_wal_store.h"
#include "wal_store_contract.h"

namespace forebay {
namespace {

class MemoryHarness final : public WalHarness {
 public:
  absl::Status Open(const NodeId& node, Incarnation new_incarnation) override {
    executor_ = std::make_unique<ThreadExecutor>("wal-test");
    absl::StatusOr<std::unique_ptr<MemoryWalStore>> store =
        MemoryWalStore::Open({*executor_, clock_}, *disk_, node, new_incarnation);
    if (!store.ok()) return store.status();
    store_ = *std::move(store);
    return absl::OkStatus();
  }
  WalStore& store() override { return *store_; }
  void Close() override {
    executor_->Stop();
    store_.reset();
  }
  void PowerCut() override {
    store_->PowerCut();
    Close();
  }
  void HoldSyncs() override { store_->SetStalled(true); }
  void LetSyncsGo() override { store_->SetStalled(false); }
  void FailNextSync() override { store_->FailNextSync(); }
  void Damage(const SegmentKey& key, const StoredBlock& stored) override {
    disk_->damaged_blocks.emplace(key, stored.first);
  }
  void Wipe() override { disk_ = std::make_unique<MemoryDisk>(); }

 private:
  std::unique_ptr<MemoryDisk> disk_ = std::make_unique<MemoryDisk>();
  std::unique_ptr<MemoryWalStore> store_;
  std::unique_ptr<ThreadExecutor> executor_;
  RealClock clock_;
};

INSTANTIATE_TEST_SUITE_P(Memory, WalStoreContract, testing::Values([] {
                           return std::unique_ptr<WalHarness>(new MemoryHarness);
                         }));

// Runs what is posted when told to.
class HandExecutor final : public Executor {
 public:
  void Post(Task task) override { tasks_.push_back(std::move(task)); }
  void PostAfter(absl::Duration delay, Task task) override {
    delays_.push_back(delay);
    tasks_.push_back(std::move(task));
  }
  void RunAll() {
    while (!tasks_.empty()) {
      std::vector<Task> tasks = std::exchange(tasks_, {});
      for (Task& task : tasks) task();
    }
  }
  const std::vector<absl::Duration>& delays() const { return delays_; }

 private:
  std::vector<Task> tasks_;
  std::vector<absl::Duration> delays_;
};

class MemoryWal : public testing::Test {
 protected:
  std::unique_ptr<MemoryWalStore> OpenStore(Incarnation incarnation = Incarnation(1)) {
    return *MemoryWalStore::Open({executor_, clock_}, disk_, NodeId("a"), incarnation,
                                 [] { return absl::Milliseconds(3); });
  }
  void Append(MemoryWalStore& store, uint64_t first) {
    store.Write({AppendBlock{Key(), Offset(first), MakeBlock(first)}},
                [this](const absl::Status& status) { results_.push_back(status); });
  }

  HandExecutor executor_;
  RealClock clock_;
  MemoryDisk disk_;
  std::vector<absl::Status> results_;
};

TEST_F(MemoryWal, SyncTakesTheGivenTimeAndNeverCompletesInline) {
  auto store = OpenStore();
  store->Write({OpenSegment{Key(), Offset(0), ""}},
               [this](const absl::Status& status) { results_.push_back(status); });
  EXPECT_TRUE(results_.empty());
  EXPECT_EQ(executor_.delays(), std::vector<absl::Duration>{absl::Milliseconds(3)});
  executor_.RunAll();
  EXPECT_EQ(results_, std::vector<absl::Status>{absl::OkStatus()});
}

TEST_F(MemoryWal, PowerCutMayLeaveBatchesThatNobodyWasToldOf) {
  auto store = OpenStore();
  store->Write({OpenSegment{Key(), Offset(0), ""}}, [](const absl::Status&) {});
  executor_.RunAll();
  for (uint64_t first = 0; first < 10; first += 2) Append(*store, first);
  EXPECT_EQ(store->queued_batches(), 5u);
  store->PowerCut(/*batches_kept=*/2);
  executor_.RunAll();
  EXPECT_TRUE(results_.empty());
  store = OpenStore(Incarnation(2));
  EXPECT_EQ(store->content_at_open().segments.at(Key()), (SegmentExtent{Offset(0), Offset(4)}));
  EXPECT_EQ(store->marker().incarnation, Incarnation(1));
}

TEST_F(MemoryWal, DestroyedStoreCompletesNothing) {
  auto store = OpenStore();
  store->Write({OpenSegment{Key(), Offset(0), ""}},
               [this](const absl::Status& status) { results_.push_back(status); });
  store.reset();
  executor_.RunAll();
  EXPECT_TRUE(results_.empty());
  EXPECT_TRUE(OpenStore()->content_at_open().segments.empty());
}

TEST_F(MemoryWal, DamagedLogKeepsItsContentUnderANewIncarnation) {
  auto store = OpenStore();
  store->Write({OpenSegment{Key(), Offset(0), ""}}, [](const absl::Status&) {});
  executor_.RunAll();
  store.reset();
  disk_.log_damaged = true;
  store = OpenStore(Incarnation(2));
  EXPECT_EQ(store->marker().incarnation, Incarnation(2));
  EXPECT_TRUE(store->content_at_open().segments.contains(Key()));
}

TEST_F(MemoryWal, DamagedSnapshotIsDataLoss) {
  auto store = OpenStore();
  store->Write({OpenSegment{Key(), Offset(0), "s"}}, [](const absl::Status&) {});
  disk_.damaged_snapshots.insert(Key());
  EXPECT_EQ(store->ReadSnapshot(Key()).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace forebay
