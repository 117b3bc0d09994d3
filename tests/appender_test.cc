// The thread-safe front of a producer, with real threads.
#include "producer/appender.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/handover.h"
#include "runtime/real_clock.h"
#include "runtime/thread_executor.h"
#include "support/fake_cluster.h"

namespace forebay {
namespace {

Event Numbered(int number) {
  Event event;
  event.key = absl::StrCat("key-", number % 5);
  event.payload = absl::StrCat(number);
  return event;
}

class AppenderTest : public testing::Test {
 protected:
  void Start(BatchOptions batch = {}) {
    appender_ =
        std::make_unique<Appender>(clock_, executor_, Random(3), *cluster_,
                                   ProducerOptions{.stream = StreamId("web"), .batch = batch});
  }
  ~AppenderTest() override {
    appender_.reset();
    executor_.Stop();  // before the cluster goes, whose tasks may be queued
  }
  // The cluster belongs to the executor.
  template <typename Change>
  void InCluster(Change change) {
    const auto done = Handover<bool>::Make();
    executor_.Post([&, done] {
      change(*cluster_);
      done->Give(true);
    });
    done->Take();
  }

  RealClock clock_;
  ThreadExecutor executor_{"test"};
  std::unique_ptr<FakeCluster> cluster_ =
      std::make_unique<FakeCluster>(executor_, StreamId("web"), 3);
  std::unique_ptr<Appender> appender_;
};

TEST_F(AppenderTest, StoresEveryEventOfManyThreadsOnce) {
  Start();
  std::atomic<int> acknowledged{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; i++) {
        appender_->Append(Numbered(t * 500 + i), [&](const AppendResult& result) {
          acknowledged += result.outcome == Outcome::kAcknowledged;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(appender_->Flush(absl::Seconds(30)).ok());
  EXPECT_EQ(acknowledged, 2000);
  std::set<std::string> stored;
  InCluster([&](FakeCluster& cluster) {
    for (const Event& event : cluster.AllStored()) {
      EXPECT_TRUE(stored.insert(event.payload).second) << event.payload << " twice";
      EXPECT_EQ(event.id.size(), 32u) << "an id is drawn";
      EXPECT_NE(event.time, absl::InfinitePast());
    }
  });
  EXPECT_EQ(stored.size(), 2000u);
  EXPECT_EQ(appender_->stats().memory_bytes, 0u);
}

TEST_F(AppenderTest, BlocksUntilTheEventIsStored) {
  Start();
  const AppendResult result = appender_->Append(Numbered(1));
  EXPECT_EQ(result.outcome, Outcome::kAcknowledged);
  EXPECT_EQ(result.partition.stream, StreamId("web"));
}

TEST_F(AppenderTest, TellsTheResultsOfManyInTheirOrder) {
  Start();
  std::vector<Event> events;
  for (int i = 0; i < 10; i++) events.push_back(Numbered(0));
  events[4].key = std::string(5000, 'k');  // over the limit
  std::vector<AppendResult> results;
  appender_->Append(std::move(events), [&](absl::Span<const AppendResult> all) {
    results.assign(all.begin(), all.end());
  });
  ASSERT_TRUE(appender_->Flush(absl::Seconds(30)).ok());
  ASSERT_TRUE(appender_->Close(absl::Seconds(1)).ok());
  ASSERT_EQ(results.size(), 10u);
  for (size_t i = 0; i < 10; i++) {
    EXPECT_EQ(results[i].outcome, i == 4 ? Outcome::kNotStored : Outcome::kAcknowledged) << i;
  }
  EXPECT_EQ(results[9].offset, Offset(8));
  EXPECT_EQ(appender_->stats().refused_events, 1u);
}

// G9: memory stays within its limit; the caller waits.
TEST_F(AppenderTest, WaitsForRoomWhenItsMemoryIsFull) {
  BatchOptions batch;
  batch.memory_bytes_max = 4000;
  Start(batch);
  std::atomic<uint64_t> most{0};
  for (int i = 0; i < 200; i++) {
    appender_->Append(Numbered(i), [](const AppendResult&) {});
    most = std::max<uint64_t>(most, appender_->stats().memory_bytes);
  }
  ASSERT_TRUE(appender_->Flush(absl::Seconds(30)).ok());
  EXPECT_EQ(appender_->stats().acknowledged_events, 200u);
  EXPECT_LE(most, 4000u);
}

TEST_F(AppenderTest, RefusesInsteadOfWaitingWhenTold) {
  BatchOptions batch;
  batch.memory_bytes_max = 2000;
  batch.wait_for_memory = false;
  InCluster([](FakeCluster& cluster) {
    cluster.silent = {NodeId("a1"), NodeId("b1"), NodeId("c1")};
  });
  Start(batch);
  std::atomic<int> refused{0};
  for (int i = 0; i < 50; i++) {
    appender_->Append(Numbered(i), [&](const AppendResult& result) {
      refused += result.status.code() == absl::StatusCode::kResourceExhausted;
    });
  }
  EXPECT_EQ(appender_->Flush(absl::Milliseconds(5)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(appender_->Close(absl::Milliseconds(5)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_GT(refused, 30);
  const ProducerStats stats = appender_->stats();
  EXPECT_EQ(stats.refused_events + stats.unknown_events + stats.not_stored_events, 50u);
}

TEST_F(AppenderTest, ReleasesCallersThatWaitForRoomWhenItCloses) {
  BatchOptions batch;
  batch.memory_bytes_max = 400;
  InCluster([](FakeCluster& cluster) {
    cluster.silent = {NodeId("a1"), NodeId("b1"), NodeId("c1")};
  });
  Start(batch);
  std::optional<AppendResult> second;
  appender_->Append(Numbered(1), [](const AppendResult&) {});
  std::thread waiter([&] { second = appender_->Append(Numbered(2)); });
  EXPECT_FALSE(appender_->Close(absl::Milliseconds(20)).ok());
  waiter.join();
  EXPECT_EQ(second->outcome, Outcome::kNotStored);
}

TEST_F(AppenderTest, StoresNothingAfterClose) {
  Start();
  ASSERT_TRUE(appender_->Close(absl::Seconds(1)).ok());
  EXPECT_EQ(appender_->Append(Numbered(1)).outcome, Outcome::kNotStored);
}

}  // namespace
}  // namespace forebay
