// Drain against a scripted log and a downstream in memory, in simulated time.
#include "drain/drain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "drain/dead_letter.h"
#include "support/drain_fixture.h"

namespace forebay {
namespace {

TEST_F(DrainTest, DeliversCommittedEventsInOrder) {
  DrainNode node = Node();
  log_.Append(95);
  Commit(node, 1, 95);
  ASSERT_TRUE(Delivers(95));
  ExpectExactlyOnce(95);
  EXPECT_EQ(node.Status().delivered_events, 95u);
  EXPECT_EQ(node.Status().lag_events, 0u);
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_EQ(node.Status().state, DrainState::kIdle);
}

// G6: the log shows 95 events, 40 are committed, and a block is cut if need be.
TEST_F(DrainTest, DeliversNothingThatIsNotCommitted) {
  DrainNode node = Node();
  log_.Append(95);
  Commit(node, 1, 42);
  simulation_.RunFor(absl::Minutes(1));
  ExpectExactlyOnce(42);
  Commit(node, 1, 95);
  ASSERT_TRUE(Delivers(95));
  ExpectExactlyOnce(95);
}

TEST_F(DrainTest, ResumesAfterLastAcknowledgedEventWhenSinkRestarts) {
  DrainNode node = Node();
  log_.Append(200);
  Commit(node, 1, 100);
  ASSERT_TRUE(Delivers(100));
  downstream_->fault = [](auto...) { return Fault::kRefused; };
  Commit(node, 1, 200);
  simulation_.RunFor(absl::Minutes(5));
  EXPECT_EQ(node.Status().state, DrainState::kRetrying);
  EXPECT_EQ(node.Status().lag_events, 100u);
  EXPECT_NE(node.Status().last_error, "");
  EXPECT_GE(node.Status().oldest_undelivered_age, absl::Minutes(4));
  downstream_->fault = nullptr;
  ASSERT_TRUE(Delivers(200));
  ExpectExactlyOnce(200);
  EXPECT_EQ(node.Status().last_error, "");
}

TEST_F(DrainTest, RetriesForEverWithWaitsOfAtMostTenSeconds) {
  DrainNode node = Node();
  log_.Append(10);
  downstream_->fault = [](auto...) { return Fault::kRefused; };
  Commit(node, 1, 10);
  simulation_.RunFor(absl::Hours(10));
  // 5 to 10 s each, and a few shorter ones at the start.
  EXPECT_GE(downstream_->opens(), 3600u);
  EXPECT_LE(downstream_->opens(), 7220u);
  downstream_->fault = nullptr;
  ASSERT_TRUE(Delivers(10, absl::Seconds(11)));
}

// G5, docs/design/sinks.md#common-rules: an ambiguous answer is settled by the sink's progress.
TEST_F(DrainTest, DeliversExactlyOnceWhenCallsFailBeforeOrAfterTheirEffect) {
  for (uint64_t seed = 1; seed <= 50; seed++) {
    downstream_ = std::make_shared<MemoryDownstream>();
    Random random(seed);
    downstream_->fault = [&random](auto...) {
      if (random.Chance(0.3)) return Fault::kAmbiguous;
      return random.Chance(0.3) ? Fault::kRefused : Fault::kNone;
    };
    log_ = DrainLog();
    log_.Append(300, 1 + seed % 7);
    SinkBinding binding = Binding();
    binding.batch_events_max = 20;
    DrainNode node(simulation_, log_, {binding}, seed);
    for (uint64_t committed = 10; committed <= 300; committed += 10) {
      Commit(node, 1 + committed / 70, committed);
      simulation_.RunFor(absl::Milliseconds(100));
    }
    ASSERT_TRUE(Delivers(300, absl::Hours(1))) << "seed " << seed;
    ExpectExactlyOnce(300);
  }
}

TEST_F(DrainTest, StepsDownWhenFencedUntilItOwnsAHigherEpoch) {
  DrainNode old_owner = Node(), new_owner = Node();
  log_.Append(30);
  Commit(old_owner, 1, 10);
  ASSERT_TRUE(Delivers(10));
  Commit(new_owner, 2, 20);
  ASSERT_TRUE(Delivers(20));
  Commit(old_owner, 1, 30);
  simulation_.RunFor(absl::Minutes(1));
  EXPECT_EQ(old_owner.Status().state, DrainState::kSteppedDown);
  ExpectExactlyOnce(20);
  Commit(old_owner, 3, 30);
  ASSERT_TRUE(Delivers(30));
  ExpectExactlyOnce(30);
}

// Hazard: reading progress before fencing. An owner that was frozen in a call delivers late.
TEST_F(DrainTest, LateDeliveryOfAFrozenOwnerHasNoEffect) {
  DrainNode old_owner = Node(), new_owner = Node();
  log_.Append(20);
  Commit(old_owner, 1, 10);
  ASSERT_TRUE(Delivers(10));
  old_owner.worker_a.Freeze();
  old_owner.worker_b.Freeze();
  Commit(old_owner, 1, 20);
  simulation_.RunFor(absl::Seconds(1));
  Commit(new_owner, 2, 20);
  ASSERT_TRUE(Delivers(20));
  old_owner.worker_a.Thaw();
  old_owner.worker_b.Thaw();
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_EQ(old_owner.Status().state, DrainState::kSteppedDown);
  ExpectExactlyOnce(20);
}

TEST_F(DrainTest, WaitsWhenTheSinkIsAheadOfWhatIsKnownAsCommitted) {
  DrainNode node = Node();
  log_.Append(50);
  downstream_->SetProgress(partition_, {Epoch(1), Offset(30)});
  Commit(node, 2, 20);
  simulation_.RunFor(absl::Minutes(1));
  EXPECT_TRUE(downstream_->Rows(partition_).empty());
  EXPECT_EQ(node.Status().cursor, Offset(30));
  Commit(node, 2, 50);
  ASSERT_TRUE(Delivers(50));
  EXPECT_EQ(downstream_->Rows(partition_).front().offset, Offset(30));
}

TEST_F(DrainTest, GoesBackWhenTheSinkFailedOverToAnOlderState) {
  DrainNode node = Node();
  log_.Append(60);
  Commit(node, 1, 40);
  ASSERT_TRUE(Delivers(40));
  downstream_->GoBack(partition_, Offset(25));
  Commit(node, 1, 60);
  ASSERT_TRUE(Delivers(60));
  ExpectExactlyOnce(60);
}

// G8: what the sink needs is gone. That is said, never skipped.
TEST_F(DrainTest, SaysSoForEverWhenTheSinkNeedsTrimmedEvents) {
  DrainNode node = Node();
  log_.Append(60);
  log_.trimmed = Offset(20);
  Commit(node, 1, 60);
  simulation_.RunFor(absl::Hours(1));
  EXPECT_TRUE(downstream_->Rows(partition_).empty());
  EXPECT_EQ(node.Status().state, DrainState::kMissingBlocks);
  EXPECT_THAT(node.Status().last_error, testing::HasSubstr("offset 0"));
  EXPECT_GT(node.Status().retries, 100u);
  downstream_->SetProgress(partition_, {Epoch(1), Offset(20)});  // what an operator would do
  ASSERT_TRUE(Delivers(60));
  EXPECT_EQ(downstream_->Rows(partition_).front().offset, Offset(20));
}

TEST_F(DrainTest, DoesNotSkipWhatCannotBeRead) {
  DrainNode node = Node();
  log_.Append(60);
  log_.broken = absl::DataLossError("block 3 is damaged");
  Commit(node, 1, 60);
  simulation_.RunFor(absl::Minutes(5));
  EXPECT_THAT(node.Status().last_error, testing::HasSubstr("block 3"));
  log_.broken = absl::OkStatus();
  auto lost = log_.blocks[2];
  log_.blocks.erase(log_.blocks.begin() + 2);
  simulation_.RunFor(absl::Minutes(5));
  EXPECT_LE(downstream_->Rows(partition_).size(), 20u);
  log_.blocks.insert(log_.blocks.begin() + 2, lost);
  ASSERT_TRUE(Delivers(60));
  ExpectExactlyOnce(60);
}

TEST_F(DrainTest, PutsPoisonEventsInTheDeadLetterStreamAndGoesOn) {
  DrainNode node = Node();
  downstream_->poison = [](const Event& event) -> std::optional<std::string> {
    if (event.id == "0" || event.id == "17" || event.id == "18" || event.id == "99") {
      return "cannot hold " + event.id;
    }
    return std::nullopt;
  };
  log_.Append(100);
  Commit(node, 1, 100);
  ASSERT_TRUE(Delivers(100));
  ExpectExactlyOnce(100, {0, 17, 18, 99});
  const auto& letters = node.dead_letters[StreamId("web.dead-letter")];
  ASSERT_EQ(letters.size(), 4u);
  auto letter = ParseDeadLetter(letters[1]);
  ASSERT_TRUE(letter.ok()) << letter.status();
  EXPECT_EQ(letter->reason, "cannot hold 17");
  EXPECT_EQ(letter->sink, SinkId("db"));
  EXPECT_EQ(letter->partition, partition_);
  EXPECT_EQ(letter->offset, Offset(17));
  EXPECT_EQ(letter->event, MakeEvent("17"));
  EXPECT_EQ(node.Status().dead_lettered_events, 4u);
  EXPECT_EQ(node.Status().delivered_events, 96u);
}

// G8: a poison event is nowhere until the dead-letter stream has acknowledged it.
TEST_F(DrainTest, DoesNotSkipAPoisonEventBeforeItIsADeadLetter) {
  DrainNode node = Node();
  downstream_->poison = [](const Event& event) -> std::optional<std::string> {
    return event.id == "5" ? std::optional<std::string>("no") : std::nullopt;
  };
  node.dead_letter_stream_is_away = true;
  log_.Append(10);
  Commit(node, 1, 10);
  simulation_.RunFor(absl::Hours(1));
  EXPECT_EQ(downstream_->ProgressOf(partition_).next, Offset(5));
  EXPECT_GT(node.dead_letter_tries, 100);
  node.dead_letter_stream_is_away = false;
  ASSERT_TRUE(Delivers(10));
  ExpectExactlyOnce(10, {5});
  EXPECT_EQ(node.dead_letters[StreamId("web.dead-letter")].size(), 1u);
}

TEST_F(DrainTest, IdlePartitionsCostNothing) {
  DrainNode node = Node();
  log_.Append(10);
  Commit(node, 1, 10);
  ASSERT_TRUE(Delivers(10));
  simulation_.RunFor(absl::Minutes(1));  // the trim floor follows
  const uint64_t steps = simulation_.steps();
  simulation_.RunFor(absl::Hours(24));
  EXPECT_EQ(simulation_.steps(), steps);
}

// G9: a backlog stays in the log.
TEST_F(DrainTest, ReadsAtMostOneBatchAheadOfAStuckSink) {
  SinkBinding binding = Binding();
  binding.batch_bytes_max = 4096;
  DrainNode node(simulation_, log_, {binding});
  log_.Append(20000);
  downstream_->fault = [](const char* call, const PartitionId&) {
    return call == std::string("deliver") ? Fault::kRefused : Fault::kNone;
  };
  Commit(node, 1, 20000);
  simulation_.RunFor(absl::Hours(1));
  const uint64_t batch_events = 4096 / (log_.blocks[0].block.raw_bytes() / 10);
  EXPECT_GE(log_.read_end, Offset(batch_events / 2));
  EXPECT_LE(log_.read_end, Offset(3 * batch_events));
  downstream_->fault = nullptr;
  ASSERT_TRUE(Delivers(20000));
  ExpectExactlyOnce(20000);
}

TEST_F(DrainTest, TrimsWhatEverySinkHasHadForItsGraceTime) {
  SinkBinding slow = Binding("slow"), fast = Binding("fast");
  auto slow_downstream = std::make_shared<MemoryDownstream>();
  slow.sink = std::make_shared<MemorySink>(slow_downstream);
  slow.keep_after_delivery = absl::Seconds(10);
  fast.keep_after_delivery = absl::ZeroDuration();
  slow_downstream->fault = [](auto...) { return Fault::kRefused; };
  DrainNode node(simulation_, log_, {slow, fast});
  log_.Append(50);
  Commit(node, 1, 50);
  simulation_.RunFor(absl::Minutes(10));
  EXPECT_TRUE(node.floors.empty());  // fast has it, slow does not
  slow_downstream->fault = nullptr;
  ASSERT_TRUE(simulation_.RunUntilTrue(
      [&] { return slow_downstream->ProgressOf(partition_).next == Offset(50); },
      absl::Minutes(1)));
  const absl::Time delivered_at = simulation_.Now();
  ASSERT_TRUE(simulation_.RunUntilTrue(
      [&] { return !node.floors.empty() && node.floors.back() == Offset(50); }, absl::Minutes(1)));
  EXPECT_GE(simulation_.Now() - delivered_at, absl::Seconds(10));
}

TEST_F(DrainTest, TrimsNothingOfAStreamWithoutSinks) {
  DrainNode node = Node();
  const PartitionId other{StreamId("orders"), 0};
  node.drain->OnCommitted(other, Epoch(1), Offset(1000));
  simulation_.RunFor(absl::Hours(1));
  EXPECT_TRUE(node.floors.empty());
  EXPECT_TRUE(node.drain->Status().empty());
}

TEST_F(DrainTest, CallsASinkOncePerBatchWaitWhenLittleArrives) {
  DrainNode node = Node();
  log_.Append(1000, 1);
  int deliveries = 0;
  downstream_->fault = [&](const char* call, const PartitionId&) {
    if (call == std::string("deliver")) deliveries++;
    return Fault::kNone;
  };
  for (uint64_t i = 1; i <= 1000; i++) {
    Commit(node, 1, i);
    simulation_.RunFor(absl::Milliseconds(1));
  }
  ASSERT_TRUE(Delivers(1000));
  ExpectExactlyOnce(1000);
  EXPECT_GE(deliveries, 19);
  EXPECT_LE(deliveries, 22);
}

// Reads are of at most 64 blocks, and of a few small ones: neither means that there is no more.
TEST_F(DrainTest, DeliversABacklogWithoutWaiting) {
  log_.Append(9'000, 1);
  for (const absl::Duration wait : {absl::ZeroDuration(), absl::Seconds(5), absl::Minutes(1)}) {
    downstream_ = std::make_shared<MemoryDownstream>();
    SinkBinding binding = Binding();
    binding.batch_wait_max = wait;
    binding.batch_bytes_max = 64 << 20;
    DrainNode node(simulation_, log_, {binding});
    Commit(node, 1, 9'000);
    EXPECT_TRUE(Delivers(9'000, absl::Seconds(1))) << absl::FormatDuration(wait);
  }
}

// Where every batch is cut by its limits, and where it is not.
TEST_F(DrainTest, KeepsUpWithWhatArrivesHoweverLongABatchMayWait) {
  log_.Append(60'000, 1);
  for (const size_t bytes_max : {size_t{16} << 10, size_t{64} << 20}) {
    downstream_ = std::make_shared<MemoryDownstream>();
    SinkBinding binding = Binding();
    binding.batch_wait_max = absl::Seconds(5);
    binding.batch_bytes_max = bytes_max;
    DrainNode node(simulation_, log_, {binding});
    for (uint64_t committed = 100; committed <= 60'000; committed += 100) {
      Commit(node, 1, committed);
      simulation_.RunFor(absl::Milliseconds(100));
      ASSERT_LE(node.Status().oldest_undelivered_age, absl::Seconds(6)) << committed;
    }
    ASSERT_TRUE(Delivers(60'000, absl::Seconds(6)));
    ExpectExactlyOnce(60'000);
  }
}

// The wait is counted from the event that has waited longest, not from when the task looked.
TEST_F(DrainTest, HoldsNoEventLongerThanABatchMayWait) {
  SinkBinding binding = Binding();
  binding.batch_wait_max = absl::Seconds(5);
  binding.batch_events_max = 30;
  DrainNode node(simulation_, log_, {binding});
  log_.Append(50, 1);
  Commit(node, 1, 1);
  ASSERT_TRUE(Delivers(1));
  simulation_.RunFor(absl::Seconds(2));
  Commit(node, 1, 20);
  simulation_.RunFor(absl::Seconds(2));
  Commit(node, 1, 50);  // one batch is full now, and 19 events of the other are new
  ASSERT_TRUE(Delivers(31, absl::Milliseconds(10)));
  ASSERT_TRUE(Delivers(50, absl::Seconds(5)));
}

TEST_F(DrainTest, SaysWhatASinkWithLagWaitsFor) {
  SinkBinding binding = Binding();
  binding.batch_wait_max = absl::Seconds(5);
  log_.Append(1000, 1);
  DrainNode node(simulation_, log_, {binding});
  const auto state = [&] { return std::string(NameOf(node.Status().state)); };
  Commit(node, 1, 0);
  EXPECT_EQ(state(), "opening");
  simulation_.RunFor(absl::Milliseconds(1));
  EXPECT_EQ(state(), "idle");
  node.loop.Freeze();  // the read's answer waits
  Commit(node, 1, 10);
  EXPECT_EQ(state(), "reading");
  node.loop.Thaw();
  node.worker_a.Freeze();
  node.worker_b.Freeze();
  simulation_.RunFor(absl::Milliseconds(1));
  EXPECT_EQ(state(), "delivering");
  node.worker_a.Thaw();
  node.worker_b.Thaw();
  ASSERT_TRUE(Delivers(10));
  EXPECT_EQ(state(), "idle");
  Commit(node, 1, 20);
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_EQ(state(), "filling");
  EXPECT_EQ(node.Status().lag_events, 10u);
  ASSERT_TRUE(Delivers(20));
  EXPECT_EQ(state(), "idle");
}

// Whatever happens meanwhile: a sink that lags is not idle, and an idle one does not lag.
TEST_F(DrainTest, IsNeverIdleWhileItLags) {
  for (uint64_t seed = 1; seed <= 30; seed++) {
    downstream_ = std::make_shared<MemoryDownstream>();
    Random random(seed);
    downstream_->fault = [&random](auto...) {
      return random.Chance(0.2) ? Fault::kAmbiguous : Fault::kNone;
    };
    log_ = DrainLog();
    log_.Append(400, 1 + seed % 5);
    SinkBinding binding = Binding();
    binding.batch_events_max = 20;
    binding.batch_wait_max = absl::Milliseconds(50 * (seed % 4));
    DrainNode node(simulation_, log_, {binding}, seed);
    uint64_t committed = 0, lagging = 0;
    for (int step = 0; step < 3000; step++) {
      if (random.Chance(0.02)) committed = std::min<uint64_t>(400, committed + random.Below(40));
      Commit(node, 1 + committed / 150, committed);
      if (!simulation_.Step()) simulation_.RunFor(absl::Milliseconds(1));
      const DrainStatus status = node.Status();
      lagging += status.lag_events > 0 ? 1 : 0;
      ASSERT_FALSE(status.state == DrainState::kIdle && status.lag_events > 0)
          << "seed " << seed << ", lag " << status.lag_events;
    }
    EXPECT_GT(lagging, 0u) << "seed " << seed;
  }
}

TEST_F(DrainTest, KeepsBatchesWithinTheirLimits) {
  SinkBinding binding = Binding();
  binding.batch_events_max = 7;
  DrainNode node(simulation_, log_, {binding});
  log_.Append(100, 50);
  std::vector<uint64_t> sizes;
  uint64_t before = 0;
  downstream_->fault = [&](auto...) { return Fault::kNone; };
  Commit(node, 1, 100);
  while (before < 100) {
    ASSERT_TRUE(simulation_.Step());
    const uint64_t now = downstream_->ProgressOf(partition_).next.value();
    if (now != before) sizes.push_back(now - before);
    before = now;
  }
  EXPECT_THAT(sizes, testing::Each(testing::Le(7u)));
  ExpectExactlyOnce(100);
}

// G5: a sink without progress is at least once: after a takeover from the first event that is left.
TEST_F(DrainTest, StartsASinkWithoutProgressAtTheFirstEventThatIsLeft) {
  class Forgetful final : public Sink {
   public:
    absl::StatusOr<SinkProgress> Open(const PartitionId&, Epoch) override { return SinkProgress{}; }
    absl::Status Deliver(const SinkBatch& batch) override {
      batches.emplace_back(batch.first.value(), batch.last.value());
      if (batches.size() == 2) return absl::UnavailableError("lost");
      return absl::OkStatus();
    }
    absl::Status Skip(const SinkBatch&) override { return absl::OkStatus(); }
    bool HoldsProgress() const override { return false; }
    std::vector<std::pair<uint64_t, uint64_t>> batches;
  };
  auto sink = std::make_shared<Forgetful>();
  SinkBinding binding = Binding();
  binding.sink = sink;
  binding.batch_events_max = 30;
  log_.Append(100);
  for (uint64_t trimmed : {0u, 40u, 100u}) {
    sink->batches.clear();
    log_.trimmed = Offset(trimmed);
    DrainNode node(simulation_, log_, {binding});
    Commit(node, 1, 100);
    simulation_.RunFor(absl::Minutes(1));
    EXPECT_EQ(node.Status().cursor, Offset(100));
    if (trimmed == 100) {
      EXPECT_TRUE(sink->batches.empty());
    } else {
      ASSERT_GE(sink->batches.size(), 3u);
      EXPECT_EQ(sink->batches[0].first, trimmed);
      EXPECT_EQ(sink->batches[1], sink->batches[2]);  // its identity is the same on every retry
    }
  }
}

TEST_F(DrainTest, DeliversNothingAfterOwnershipIsLost) {
  DrainNode node = Node();
  log_.Append(20);
  Commit(node, 1, 10);
  ASSERT_TRUE(Delivers(10));
  node.floors.clear();
  node.drain->OnLost(partition_);
  simulation_.RunFor(absl::Minutes(1));
  EXPECT_TRUE(node.drain->Status().empty());
  EXPECT_TRUE(node.floors.empty());
  Commit(node, 3, 20);
  ASSERT_TRUE(Delivers(20));
  ExpectExactlyOnce(20);
}

TEST_F(DrainTest, MakesOneCallAtATimeEvenWhenOwnershipComesBack) {
  class Watching final : public Sink {
   public:
    explicit Watching(Simulation& simulation) : simulation_(simulation) {}
    absl::StatusOr<SinkProgress> Open(const PartitionId&, Epoch epoch) override {
      opened.emplace_back(epoch, simulation_.Now());
      return SinkProgress{Offset(0)};
    }
    absl::Status Deliver(const SinkBatch&) override { return absl::OkStatus(); }
    absl::Status Skip(const SinkBatch&) override { return absl::OkStatus(); }
    bool HoldsProgress() const override { return true; }
    std::vector<std::pair<Epoch, absl::Time>> opened;

   private:
    Simulation& simulation_;
  };
  auto sink = std::make_shared<Watching>(simulation_);
  SinkBinding binding = Binding();
  binding.sink = sink;
  DrainNode node(simulation_, log_, {binding});
  node.worker_a.Freeze();
  node.worker_b.Freeze();
  Commit(node, 1, 0);
  node.drain->OnLost(partition_);
  Commit(node, 2, 0);
  simulation_.RunFor(absl::Seconds(1));
  node.worker_a.Thaw();  // only one of the two may hold a call
  node.worker_b.Thaw();
  simulation_.RunFor(absl::Seconds(1));
  ASSERT_EQ(sink->opened.size(), 2u);
  EXPECT_EQ(sink->opened[0].first, Epoch(1));
  EXPECT_EQ(sink->opened[1].first, Epoch(2));
  EXPECT_LT(sink->opened[0].second, sink->opened[1].second);
}

TEST_F(DrainTest, AnAnswerFromBeforeALossDoesNotCount) {
  DrainNode node = Node();
  log_.Append(40);
  Commit(node, 1, 10);
  ASSERT_TRUE(Delivers(10));
  node.worker_a.Freeze();
  node.worker_b.Freeze();
  Commit(node, 1, 30);
  simulation_.RunFor(absl::Seconds(1));  // a batch is with the sink
  node.drain->OnLost(partition_);
  Commit(node, 3, 40);
  node.worker_a.Thaw();
  node.worker_b.Thaw();
  ASSERT_TRUE(Delivers(40));
  ExpectExactlyOnce(40);
  EXPECT_EQ(node.Status().delivered_events, 10u);
}

TEST_F(DrainTest, SurvivesASinkThatThrows) {
  class Throwing final : public Sink {
   public:
    absl::StatusOr<SinkProgress> Open(const PartitionId&, Epoch) override {
      throw std::runtime_error("boom");
    }
    absl::Status Deliver(const SinkBatch&) override { return absl::OkStatus(); }
    absl::Status Skip(const SinkBatch&) override { return absl::OkStatus(); }
    bool HoldsProgress() const override { return true; }
  };
  SinkBinding binding = Binding();
  binding.sink = std::make_shared<Throwing>();
  DrainNode node(simulation_, log_, {binding});
  Commit(node, 1, 0);
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_THAT(node.Status().last_error, testing::HasSubstr("boom"));
}

TEST_F(DrainTest, StopsWhenTheLastSinkCallHasReturned) {
  DrainNode node = Node();
  log_.Append(10);
  node.worker_a.Freeze();
  node.worker_b.Freeze();
  Commit(node, 1, 10);
  bool stopped = false;
  node.drain->Stop([&] { stopped = true; });
  simulation_.RunFor(absl::Minutes(1));
  EXPECT_FALSE(stopped);
  node.worker_a.Thaw();
  node.worker_b.Thaw();
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_TRUE(stopped);
  Commit(node, 2, 10);
  simulation_.RunFor(absl::Minutes(1));
  EXPECT_TRUE(downstream_->Rows(partition_).empty());
}

}  // namespace
}  // namespace forebay
