#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "metadata/memory_metadata_store.h"
#include "metadata_store_contract.h"
#include "runtime/thread_executor.h"

namespace forebay {
namespace {

class MemoryWorld final : public MetadataWorld {
 public:
  MetadataStore& node(int index) override { return *nodes_[static_cast<size_t>(index)]; }
  void DestroyNode(int index) override { nodes_[static_cast<size_t>(index)].reset(); }
  void Delete(const std::string& key) override { content_->Delete(key); }
  bool SetLocked(bool locked) override {
    content_->SetLocked(locked);
    return true;
  }

 private:
  ThreadExecutor server_{"server"}, one_{"node 0"}, two_{"node 1"};
  std::shared_ptr<MemoryMetadata> content_ = std::make_shared<MemoryMetadata>(server_);
  std::array<std::unique_ptr<MemoryMetadataStore>, 2> nodes_ = {
      std::make_unique<MemoryMetadataStore>(content_, one_, Random(1)),
      std::make_unique<MemoryMetadataStore>(content_, two_, Random(2))};
};

INSTANTIATE_TEST_SUITE_P(Memory, MetadataStoreContract,
                         ::testing::Values([] { return std::make_unique<MemoryWorld>(); }));

// Time that moves only when told.
class ManualExecutor final : public Executor {
 public:
  void Post(Task task) override { PostAfter(absl::ZeroDuration(), std::move(task)); }
  void PostAfter(absl::Duration delay, Task task) override {
    tasks_.emplace(now_ + delay, std::move(task));
  }
  void Run(absl::Duration time) {
    const absl::Time until = now_ + time;
    while (!tasks_.empty() && tasks_.begin()->first <= until) {
      now_ = tasks_.begin()->first;
      Task task = std::move(tasks_.begin()->second);
      tasks_.erase(tasks_.begin());
      task();
    }
    now_ = until;
  }

 private:
  absl::Time now_ = absl::UnixEpoch();
  std::multimap<absl::Time, Task> tasks_;
};

class MemoryMetadataFaultsTest : public ::testing::Test {
 protected:
  // Nothing until the call ends.
  std::shared_ptr<std::optional<SwapResult>> Swap(uint64_t version, const std::string& value) {
    auto outcome = std::make_shared<std::optional<SwapResult>>();
    store_.CompareAndSwap("a", version, value, [outcome](SwapResult result) {
      EXPECT_FALSE(outcome->has_value()) << "ended twice";
      *outcome = std::move(result);
    });
    return outcome;
  }
  bool Holds(const std::string& value) {
    const auto record = content_->Get("a");
    return record.has_value() && record->value == value;
  }

  ManualExecutor executor_;
  std::shared_ptr<MemoryMetadata> content_ = std::make_shared<MemoryMetadata>(executor_);
  MemoryMetadataFaults faults_;
  MemoryMetadataStore store_{content_, executor_, Random(7)};
};

TEST_F(MemoryMetadataFaultsTest, CallsEndUnavailableAfterTheTimeoutWhileUnreachable) {
  store_.SetReachable(false);
  const auto outcome = Swap(0, "x");
  executor_.Run(absl::Milliseconds(1999));
  EXPECT_FALSE(outcome->has_value());
  executor_.Run(absl::Milliseconds(1));
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((*outcome)->status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(Holds("x"));
}

TEST_F(MemoryMetadataFaultsTest, AnswersDoNotComeThroughAnOutage) {
  faults_.delay_min = faults_.delay_max = absl::Milliseconds(100);
  store_.SetFaults(faults_);
  const auto outcome = Swap(0, "x");
  executor_.Run(absl::Milliseconds(150));
  EXPECT_TRUE(Holds("x")) << "it has arrived";
  store_.SetReachable(false);
  executor_.Run(absl::Seconds(2));
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((*outcome)->status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(MemoryMetadataFaultsTest, ALateSwapIsAppliedAfterItsCallerWasToldUnknown) {
  faults_.late = 1;
  store_.SetFaults(faults_);
  const auto outcome = Swap(0, "late");
  executor_.Run(absl::Seconds(2));
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((*outcome)->status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(Holds("late"));
  executor_.Run(absl::Seconds(5));
  EXPECT_TRUE(Holds("late"));
}

// roll-settles: after another swap has gone through, the late one can no longer land.
TEST_F(MemoryMetadataFaultsTest, ATimeOutIsSettledByAnotherSwap) {
  faults_.late = 1;
  store_.SetFaults(faults_);
  Swap(0, "late");
  executor_.Run(absl::Seconds(2));
  store_.SetFaults({});
  const auto settled = Swap(0, "settled");
  executor_.Run(absl::Seconds(10));
  ASSERT_TRUE(settled->has_value() && (*settled)->ok());
  EXPECT_TRUE(Holds("settled"));
}

TEST_F(MemoryMetadataFaultsTest, ALostReplyLeavesTheSwapApplied) {
  faults_.reply_lost = 1;
  store_.SetFaults(faults_);
  const auto outcome = Swap(0, "x");
  executor_.Run(absl::Seconds(2));
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((*outcome)->status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(Holds("x"));
}

TEST_F(MemoryMetadataFaultsTest, ALostRequestLeavesNothing) {
  faults_.request_lost = 1;
  store_.SetFaults(faults_);
  const auto outcome = Swap(0, "x");
  executor_.Run(absl::Seconds(20));
  EXPECT_TRUE(outcome->has_value() && !(*outcome)->ok());
  EXPECT_FALSE(Holds("x"));
}

TEST_F(MemoryMetadataFaultsTest, AWatchTellsAfterAnOutageWhatItMissed) {
  faults_.watch_delay_min = absl::Milliseconds(100);
  faults_.watch_delay_max = absl::Milliseconds(200);
  store_.SetFaults(faults_);
  std::vector<std::string> told;
  store_.Watch("", [&told](std::vector<MetadataRecord> records) {
    for (const MetadataRecord& record : records) told.push_back(record.value);
  });
  executor_.Run(absl::Seconds(1));
  store_.SetReachable(false);
  const SwapResult first = content_->Swap("a", 0, "missed");
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(content_->Swap("a", *first, "latest").ok());
  executor_.Run(absl::Seconds(10));
  EXPECT_TRUE(told.empty());
  store_.SetReachable(true);
  executor_.Run(absl::Milliseconds(150));
  EXPECT_TRUE(told.empty()) << "sooner than the delay";
  executor_.Run(absl::Milliseconds(250));
  EXPECT_EQ(told, std::vector<std::string>{"latest"});
}

TEST_F(MemoryMetadataFaultsTest, RepeatsItselfForTheSameSeed) {
  const auto run = [](uint64_t seed) {
    ManualExecutor executor;
    auto content = std::make_shared<MemoryMetadata>(executor);
    MemoryMetadataFaults faults;
    faults.delay_max = absl::Seconds(3);
    faults.request_lost = faults.reply_lost = faults.late = 0.2;
    MemoryMetadataStore store(content, executor, Random(seed), faults);
    std::string log;
    for (int i = 0; i < 50; i++) {
      store.CompareAndSwap("a" + std::to_string(i % 5), static_cast<uint64_t>(i % 3), "x",
                           [&log, i](SwapResult result) {
                             log += std::to_string(i) + result.status().ToString() + "\n";
                           });
    }
    executor.Run(absl::Seconds(20));
    return log;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

}  // namespace
}  // namespace forebay
