// G2 (three outcomes), G3 (a repeat takes effect once), G4 (order), seen from the producer.
#include "producer/producer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/checksum.h"
#include "support/fake_cluster.h"
#include "support/sim_executor.h"

namespace forebay {
namespace {

constexpr absl::Duration kLong = absl::Seconds(30);

class ProducerTest : public testing::Test {
 protected:
  // The fixture's words are used after Start.
  void Start(BatchOptions batch = {}, uint32_t partitions = 1, ZoneId zone = ZoneId()) {
    producer_.reset();
    // Tasks of an earlier one may still be scheduled.
    if (cluster_) earlier_.push_back(std::move(cluster_));
    cluster_ = std::make_unique<FakeCluster>(executor_, StreamId("web"), partitions);
    producer_ = std::make_unique<Producer>(
        clock_, executor_, Random(7), *cluster_,
        ProducerOptions{.stream = StreamId("web"), .zone = zone, .batch = batch});
    simulation_.RunFor(absl::Milliseconds(10));  // it knows the routes
  }

  // Appends an event whose payload is the number.
  void Append(int number, const std::string& key = "k") {
    Event event;
    event.id = absl::StrCat("e", number);
    event.key = key;
    event.payload = absl::StrCat(number);
    producer_->Append(std::move(event), [this, number](const AppendResult& result) {
      EXPECT_FALSE(results_.contains(number)) << "told twice of " << number;
      results_[number] = result;
    });
  }
  void AppendMany(int from, int to, const std::string& key = "k") {
    for (int i = from; i < to; i++) Append(i, key);
  }
  bool RunUntilTold(size_t count, absl::Duration limit = kLong) {
    return simulation_.RunUntilTrue([&] { return results_.size() == count; }, limit);
  }
  size_t Count(Outcome outcome) const {
    size_t count = 0;
    for (const auto& [number, result] : results_) count += result.outcome == outcome;
    return count;
  }
  std::vector<int> StoredIn(uint32_t partition) {
    std::vector<int> numbers;
    for (const Event& event : cluster_->Stored(partition)) {
      numbers.push_back(std::stoi(event.payload));
    }
    return numbers;
  }
  static std::vector<int> Range(int from, int to) {
    std::vector<int> numbers;
    for (int i = from; i < to; i++) numbers.push_back(i);
    return numbers;
  }
  static AppendResult NotStored(absl::Status status) {
    return {.outcome = Outcome::kNotStored, .status = std::move(status)};
  }
  template <typename Change>
  static BatchOptions With(Change change) {
    BatchOptions batch;
    change(batch);
    return batch;
  }
  static BatchOptions OneEventBlocks() {
    return With([](BatchOptions& batch) { batch.block_bytes_max = 1; });
  }

  Simulation simulation_;
  SimClock clock_{simulation_};
  SimExecutor executor_{simulation_};
  std::unique_ptr<FakeCluster> cluster_;
  std::vector<std::unique_ptr<FakeCluster>> earlier_;
  std::unique_ptr<Producer> producer_;
  std::map<int, AppendResult> results_;
};

TEST_F(ProducerTest, TellsWhereAnEventIsStored) {
  Start({}, 3);
  AppendMany(0, 5, "some key");
  ASSERT_TRUE(RunUntilTold(5));
  for (int i = 0; i < 5; i++) {
    EXPECT_EQ(results_[i].outcome, Outcome::kAcknowledged);
    EXPECT_EQ(results_[i].partition, results_[0].partition);
    EXPECT_EQ(results_[i].offset, Offset(i));
  }
  EXPECT_EQ(StoredIn(results_[0].partition.index), Range(0, 5));
  EXPECT_EQ(producer_->stats().acknowledged_events, 5u);
  EXPECT_EQ(producer_->stats().memory_bytes, 0u);
}

TEST_F(ProducerTest, LetsNothingLingerWhenNothingIsOnItsWay) {
  Start(With([](BatchOptions& batch) { batch.linger = absl::Seconds(1); }));
  Append(0);
  EXPECT_EQ(cluster_->seen.size(), 1u);
}

TEST_F(ProducerTest, PacksWhatComesWhileABlockIsOnItsWay) {
  Start(With([](BatchOptions& batch) { batch.linger = absl::Milliseconds(20); }));
  cluster_->latency = absl::Milliseconds(100);
  AppendMany(0, 50);
  EXPECT_EQ(cluster_->seen.size(), 1u) << "the first event left alone";
  simulation_.RunFor(absl::Milliseconds(21));
  ASSERT_EQ(cluster_->seen.size(), 2u) << "the rest lingered, and left together";
  EXPECT_EQ(cluster_->seen[1].events, 49u);
}

// With many partitions every one of them may have little to send, and all together too many blocks.
TEST_F(ProducerTest, PacksMoreWhileManyBlocksAreOnTheirWay) {
  constexpr int kPartitions = 200;
  Start({}, kPartitions);
  cluster_->latency = absl::Milliseconds(100);
  int next = 0;
  const auto append_to_all = [&] {
    for (int key = 0; key < 4 * kPartitions; key++) Append(next++, absl::StrCat("key-", key));
  };
  append_to_all();
  ASSERT_TRUE(RunUntilTold(next));  // it knows how long that takes
  cluster_->seen.clear();
  const int first = next;
  for (int i = 0; i < 10; i++) {
    append_to_all();
    simulation_.RunFor(absl::Milliseconds(4));
  }
  ASSERT_TRUE(RunUntilTold(next));
  const auto events = static_cast<size_t>(next - first);
  EXPECT_LT(cluster_->seen.size(), events / 20) << "40 events for each partition";
  EXPECT_EQ(Count(Outcome::kAcknowledged), static_cast<size_t>(next));
}

// H10: the owner could not answer what was not sent to it.
TEST_F(ProducerTest, DoesNotHoldAgainstAnOwnerThatABatchLingered) {
  constexpr int kPartitions = 300;
  Start({}, kPartitions);
  cluster_->latency = absl::Milliseconds(240);
  std::vector<std::string> keys, others;  // of the partitions of one owner, and of the others
  for (int i = 0; i < 4 * kPartitions; i++) {
    const std::string key = absl::StrCat("key-", i);
    const bool is_of_first = cluster_->OwnerOf(Crc32c(key) % kPartitions) == cluster_->nodes()[0];
    (is_of_first ? keys : others).push_back(key);
  }
  int next = 0;
  // Long enough that it knows how long blocks take; the first owner has nothing to do meanwhile.
  for (int i = 0; i < 100; i++) {
    for (const std::string& key : others) Append(next++, key);
    simulation_.RunFor(absl::Milliseconds(40));
  }
  Append(next++, keys[0]);
  ASSERT_TRUE(RunUntilTold(next));
  EXPECT_THAT(cluster_->asks, testing::IsEmpty());
}

TEST_F(ProducerTest, SaysHowLongItsBlocksTook) {
  Start(With([](BatchOptions& batch) { batch.linger = absl::Milliseconds(20); }));
  cluster_->latency = absl::Milliseconds(100);
  AppendMany(0, 50);  // the first leaves alone, the rest lingers
  ASSERT_TRUE(RunUntilTold(50));
  const ProducerStats stats = producer_->stats();
  EXPECT_EQ(stats.until_sealed.blocks, 2u);
  EXPECT_EQ(stats.until_sealed.time, absl::Milliseconds(20));
  EXPECT_EQ(stats.until_acknowledged.blocks, 2u);
  EXPECT_GE(stats.until_acknowledged.time - stats.until_sealed.time, absl::Milliseconds(200));
}

TEST_F(ProducerTest, SendsAFullBlockWithoutLinger) {
  Start(With([](BatchOptions& batch) {
    batch.block_bytes_max = 2000;
    batch.linger = absl::Seconds(1);
  }));
  cluster_->latency = absl::Seconds(10);
  AppendMany(0, 400);
  EXPECT_GT(cluster_->seen.size(), 2u);
}

TEST_F(ProducerTest, KeepsNoMoreBlocksOnTheirWayThanAnOwnerRemembers) {
  Start(OneEventBlocks());
  cluster_->latency = absl::Milliseconds(200);
  AppendMany(0, 100);
  EXPECT_EQ(cluster_->seen.size(), Producer::kWindowBlocks);
  ASSERT_TRUE(RunUntilTold(100));
  EXPECT_EQ(StoredIn(0), Range(0, 100));
}

TEST_F(ProducerTest, SendsEventsOfOneKeyToOnePartition) {
  Start({}, 6);
  std::set<uint32_t> used;
  for (int key = 0; key < 40; key++) {
    AppendMany(key * 10, key * 10 + 10, absl::StrCat("user-", key));
  }
  ASSERT_TRUE(RunUntilTold(400));
  for (int key = 0; key < 40; key++) {
    for (int i = 1; i < 10; i++) {
      EXPECT_EQ(results_[key * 10 + i].partition, results_[key * 10].partition);
      EXPECT_GT(results_[key * 10 + i].offset, results_[key * 10 + i - 1].offset);
    }
    used.insert(results_[key * 10].partition.index);
  }
  EXPECT_EQ(used.size(), 6u);
}

TEST_F(ProducerTest, PrefersOwnersInItsZoneForEventsWithoutKey) {
  Start({}, 6, ZoneId("b"));
  std::set<uint32_t> used;
  for (int i = 0; i < 20; i++) {
    Append(i, "");
    simulation_.RunFor(absl::Milliseconds(120));
  }
  for (const auto& [number, result] : results_) {
    EXPECT_EQ(cluster_->OwnerOf(result.partition.index), NodeId("b1"));
    used.insert(result.partition.index);
  }
  EXPECT_EQ(used.size(), 2u) << "both partitions of the zone are used in turn";
}

TEST_F(ProducerTest, SendsEventsWithoutKeyElsewhereWhenAnOwnerIsGone) {
  Start({}, 6, ZoneId("b"));
  cluster_->take_over_when_asked = false;
  cluster_->dead = {NodeId("b1")};
  for (int i = 0; i < 50; i++) {
    Append(i, "");
    simulation_.RunFor(absl::Milliseconds(50));
  }
  EXPECT_GT(Count(Outcome::kAcknowledged), 30u);
}

// G3: the answer is lost, the block was stored; the repeat must carry the same sequence.
TEST_F(ProducerTest, RepeatsWithTheSameSequenceUntilAnswered) {
  Start(OneEventBlocks());
  cluster_->losing_answers = {NodeId("a1")};
  AppendMany(0, 5);
  simulation_.RunFor(absl::Seconds(3));
  EXPECT_TRUE(results_.empty());
  cluster_->losing_answers.clear();
  ASSERT_TRUE(RunUntilTold(5));
  EXPECT_EQ(Count(Outcome::kAcknowledged), 5u);
  EXPECT_EQ(StoredIn(0), Range(0, 5));
  EXPECT_GT(producer_->stats().blocks_retried, 0u);
}

// G4: a block in the middle is refused while those behind it are on their way.
TEST_F(ProducerTest, SendsAgainFromTheOldestUnsettledBlockOn) {
  Start(OneEventBlocks());
  const AppendResult busy = NotStored(absl::ResourceExhaustedError("window"));
  cluster_->answers = {busy, busy, busy};
  AppendMany(0, 40);
  ASSERT_TRUE(RunUntilTold(40));
  EXPECT_EQ(Count(Outcome::kAcknowledged), 40u);
  EXPECT_EQ(StoredIn(0), Range(0, 40));
}

// G7: a client that cannot reach the owner for 300 ms asks the next replica.
TEST_F(ProducerTest, AsksTheNextReplicaToTakeOverAfter300Ms) {
  Start(OneEventBlocks());
  cluster_->silent.insert(NodeId("a1"));
  AppendMany(0, 20);
  simulation_.RunFor(absl::Milliseconds(290));
  EXPECT_TRUE(cluster_->asks.empty());
  simulation_.RunFor(absl::Milliseconds(70));
  ASSERT_EQ(cluster_->asks.size(), 1u);
  EXPECT_EQ(cluster_->asks[0].node, NodeId("b1"));
  EXPECT_EQ(cluster_->asks[0].epoch, Epoch(1));
  ASSERT_TRUE(RunUntilTold(20, absl::Milliseconds(500)));
  EXPECT_EQ(StoredIn(0), Range(0, 20));
}

// An owner that answers for others has much to do; whoever took over would have more
// (busy-is-not-gone).
TEST_F(ProducerTest, AsksNobodyForSecondsWhileTheOwnerIsOfUseToOtherPartitions) {
  Start(OneEventBlocks(), 4);  // of the first and the last a1 is the owner
  cluster_->stuck = {0};
  std::vector<std::string> keys(4);
  for (int i = 0; keys[0].empty() || keys[3].empty(); i++) {
    keys[Crc32c(absl::StrCat(i)) % 4] = absl::StrCat(i);
  }
  Append(0, keys[0]);
  const auto go_on = [&](int from, int to) {
    for (int i = from; i < to; i++) {
      Append(i, keys[3]);
      simulation_.RunFor(absl::Milliseconds(100));
    }
  };
  go_on(1, 30);
  EXPECT_TRUE(cluster_->asks.empty());
  EXPECT_EQ(producer_->stats().blocks_retried, 0u);
  go_on(30, 34);  // but it is not put off for ever
  ASSERT_FALSE(cluster_->asks.empty());
  EXPECT_EQ(cluster_->asks[0].partition.index, 0u);
}

// Thousands of calls would be the last thing that the others need.
TEST_F(ProducerTest, AsksForNoMoreThan64PartitionsAtOnceButForAllInTheEnd) {
  Start(OneEventBlocks(), 600);
  cluster_->silent.insert(NodeId("a1"));
  for (int i = 0; i < 4000; i++) Append(i, absl::StrCat(i));
  simulation_.RunFor(absl::Milliseconds(500));
  EXPECT_GT(cluster_->asks.size(), 0u);
  EXPECT_LE(cluster_->asks.size(), 64u);
  ASSERT_TRUE(RunUntilTold(4000));
  EXPECT_EQ(Count(Outcome::kAcknowledged), 4000u);
}

// What was only slow, and not lost, would come again and again.
TEST_F(ProducerTest, SendsAgainLessOftenEachTime) {
  Start(OneEventBlocks());
  cluster_->take_over_when_asked = false;
  cluster_->losing_answers = {NodeId("a1")};
  Append(0);
  simulation_.RunFor(absl::Milliseconds(1500));
  EXPECT_EQ(cluster_->seen.size(), 2u);
  simulation_.RunFor(absl::Seconds(14));
  EXPECT_EQ(cluster_->seen.size(), 5u);  // after 1, 3, 7 and 15 s
}

TEST_F(ProducerTest, SendsNoMoreAtOnceThanAnOwnerHasRoomFor) {
  Start(OneEventBlocks());
  cluster_->latency = absl::Milliseconds(20);
  cluster_->waiting_blocks_max = 4;
  AppendMany(0, 400);
  ASSERT_TRUE(RunUntilTold(400));
  EXPECT_EQ(Count(Outcome::kAcknowledged), 400u);
  EXPECT_EQ(StoredIn(0), Range(0, 400));
  // With sixteen at once, each of them would be sent three times more.
  EXPECT_LT(producer_->stats().blocks_retried, 100u);
}

// G7: there is nothing to wait for where nobody listens. One broken connection is not that yet.
TEST_F(ProducerTest, AsksTheNextReplicaSoonWhenTheOwnersAddressIsDead) {
  Start(OneEventBlocks());
  cluster_->dead.insert(NodeId("a1"));
  AppendMany(0, 20);
  simulation_.RunFor(absl::Milliseconds(50));
  ASSERT_EQ(cluster_->asks.size(), 1u);
  EXPECT_EQ(cluster_->asks[0].node, NodeId("b1"));
  ASSERT_TRUE(RunUntilTold(20, absl::Milliseconds(200)));
  EXPECT_EQ(StoredIn(0), Range(0, 20));
}

TEST_F(ProducerTest, AsksNobodyBecauseOfOneBrokenConnection) {
  Start(OneEventBlocks());
  AppendResult broken;
  broken.status = absl::UnavailableError("broken");
  cluster_->answers = {broken};
  AppendMany(0, 5);
  ASSERT_TRUE(RunUntilTold(5));
  EXPECT_TRUE(cluster_->asks.empty());
}

TEST_F(ProducerTest, AsksAnotherReplicaWhenTheNextIsGoneToo) {
  Start();
  cluster_->silent = {NodeId("a1"), NodeId("b1")};
  Append(0);
  ASSERT_TRUE(RunUntilTold(1, absl::Seconds(1)));
  ASSERT_EQ(cluster_->asks.size(), 2u);
  EXPECT_EQ(cluster_->asks[1].node, NodeId("c1"));
}

TEST_F(ProducerTest, FollowsAPartitionThatWasHandedOver) {
  Start(OneEventBlocks());
  AppendMany(0, 10);
  cluster_->Move(0, NodeId("c1"));
  AppendMany(10, 30);
  ASSERT_TRUE(RunUntilTold(30, absl::Milliseconds(200)));
  EXPECT_EQ(StoredIn(0), Range(0, 30));
  EXPECT_TRUE(cluster_->asks.empty());
}

// A node that has missed the hand-over describes the old owner, which would refuse the sequences.
TEST_F(ProducerTest, NeverGoesBackToAnEarlierOwner) {
  Start(OneEventBlocks());
  cluster_->Move(0, NodeId("b1"));
  AppendMany(0, 5);
  ASSERT_TRUE(RunUntilTold(5));
  cluster_->alter_routes = [](StreamRoutes& routes) {
    routes.routes[0].owner = NodeId("a1");
    routes.routes[0].epoch = Epoch(1);
  };
  const size_t before = cluster_->seen.size();
  cluster_->answers.assign(60, NotStored(absl::UnavailableError("rolling")));
  AppendMany(5, 10);
  ASSERT_TRUE(RunUntilTold(10));
  EXPECT_EQ(StoredIn(0), Range(0, 10));
  for (size_t i = before; i < cluster_->seen.size(); i++) {
    EXPECT_EQ(cluster_->seen[i].node, NodeId("b1"));
  }
}

// G2: one attempt went unanswered, so it may be stored.
TEST_F(ProducerTest, GivesUpAsUnknownWhatMayBeStored) {
  Start(With([](BatchOptions& batch) { batch.give_up_after = absl::Seconds(2); }));
  cluster_->take_over_when_asked = false;
  cluster_->losing_answers = {NodeId("a1")};
  Append(0);
  ASSERT_TRUE(RunUntilTold(1));
  EXPECT_EQ(results_[0].outcome, Outcome::kUnknown);
  EXPECT_EQ(results_[0].status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(producer_->stats().unknown_events, 1u);
}

TEST_F(ProducerTest, GivesUpAsNotStoredWhatWasSurelyRefused) {
  Start(With([](BatchOptions& batch) { batch.give_up_after = absl::Seconds(2); }));
  cluster_->answers.assign(1000, NotStored(absl::UnavailableError("too few zones")));
  Append(0);
  ASSERT_TRUE(RunUntilTold(1));
  EXPECT_EQ(results_[0].outcome, Outcome::kNotStored);
  cluster_->answers.clear();
  Append(1);
  ASSERT_TRUE(RunUntilTold(2));
  EXPECT_EQ(StoredIn(0), Range(1, 2)) << "what was reported as not stored stays away";
}

TEST_F(ProducerTest, SaysWhatItsEventsWaitForWhenItNeverGivesUp) {
  Start(With([](BatchOptions& batch) { batch.give_up_after = absl::InfiniteDuration(); }));
  cluster_->answers.assign(100'000, NotStored(absl::ResourceExhaustedError("the disk is full")));
  testing::internal::CaptureStderr();
  Append(0);
  simulation_.RunFor(absl::Seconds(25));
  const std::string said = testing::internal::GetCapturedStderr();
  const size_t first = said.find("waited for 10s");
  EXPECT_NE(first, std::string::npos) << said;
  EXPECT_NE(said.find("the disk is full", first), std::string::npos) << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 2) << "not more often than every 10 s";
  cluster_->answers.clear();
  ASSERT_TRUE(RunUntilTold(1));
  EXPECT_EQ(results_[0].outcome, Outcome::kAcknowledged);
}

TEST_F(ProducerTest, GoesOnAfterGivingUpWhateverWasStored) {
  Start(With([](BatchOptions& batch) { batch.give_up_after = absl::Seconds(1); }));
  cluster_->take_over_when_asked = false;
  for (int round = 0; round < 4; round++) {
    (round % 2 == 0 ? cluster_->losing_answers : cluster_->silent).insert(NodeId("a1"));
    Append(round * 2);
    ASSERT_TRUE(RunUntilTold(round * 2 + 1));
    cluster_->losing_answers.clear();
    cluster_->silent.clear();
    Append(round * 2 + 1);
    ASSERT_TRUE(RunUntilTold(round * 2 + 2));
    EXPECT_EQ(results_[round * 2].outcome, Outcome::kUnknown);
    EXPECT_EQ(results_[round * 2 + 1].outcome, Outcome::kAcknowledged);
  }
}

TEST_F(ProducerTest, SurfacesThatItIsFenced) {
  Start(With([](BatchOptions& batch) {
    batch.producer = ProducerId("mine");
    batch.producer_epoch = 4;
  }));
  Append(0);
  ASSERT_TRUE(RunUntilTold(1));
  cluster_->Fence(0, ProducerId("mine"), 5);
  Append(1);
  ASSERT_TRUE(RunUntilTold(2));
  EXPECT_EQ(results_[1].outcome, Outcome::kNotStored);
  EXPECT_EQ(results_[1].status.code(), absl::StatusCode::kFailedPrecondition);
  Append(2);
  ASSERT_TRUE(RunUntilTold(3));
  EXPECT_EQ(results_[2].status.code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ProducerTest, IsRecognizedAfterARestartThatRepeatsItsSequences) {
  Start(With([](BatchOptions& batch) { batch.producer = ProducerId("mine"); }));
  Append(0);
  ASSERT_TRUE(RunUntilTold(1));
  producer_ = std::make_unique<Producer>(
      clock_, executor_, Random(8), *cluster_,
      ProducerOptions{.stream = StreamId("web"), .batch = With([](BatchOptions& batch) {
                                                   batch.producer = ProducerId("mine");
                                                 })});
  results_.clear();
  Append(0);
  ASSERT_TRUE(RunUntilTold(1));
  EXPECT_EQ(results_[0].offset, Offset(0));
  EXPECT_EQ(StoredIn(0), Range(0, 1));
}

// H11: owners forget a producer that was idle for a day.
TEST_F(ProducerTest, AppendsAfterADayInWhichTheOwnersForgotIt) {
  Start();
  Append(0);
  ASSERT_TRUE(RunUntilTold(1));
  simulation_.RunFor(absl::Hours(25));
  cluster_->ForgetProducers();
  Append(1);
  ASSERT_TRUE(RunUntilTold(2));
  EXPECT_EQ(results_[1].outcome, Outcome::kAcknowledged);
  EXPECT_EQ(cluster_->seen.back().stamp.producer_epoch, 1u);
}

TEST_F(ProducerTest, RefusesWhatItsMemoryDoesNotHold) {
  Start(With([](BatchOptions& batch) { batch.memory_bytes_max = 10'000; }));
  cluster_->silent = {NodeId("a1"), NodeId("b1"), NodeId("c1")};
  AppendMany(0, 100);
  const size_t refused = Count(Outcome::kNotStored);
  EXPECT_GT(refused, 50u);
  EXPECT_EQ(results_[99].status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(RetryAfter(results_[99].status).has_value());
  EXPECT_LE(producer_->stats().memory_bytes, 10'000u);
  cluster_->silent.clear();
  ASSERT_TRUE(RunUntilTold(100));
  EXPECT_EQ(Count(Outcome::kAcknowledged), 100 - refused);
  EXPECT_EQ(producer_->stats().memory_bytes, 0u);
}

TEST_F(ProducerTest, RefusesAnEventOverALimit) {
  Start();
  Append(0, std::string(2000, 'k'));
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].outcome, Outcome::kNotStored);
  EXPECT_EQ(results_[0].status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(producer_->stats().refused_events, 1u);
}

TEST_F(ProducerTest, SaysThatThereIsNoSuchStream) {
  Start();
  cluster_->describe_answers.assign(1, absl::NotFoundError("no stream 'web'"));
  producer_ = std::make_unique<Producer>(clock_, executor_, Random(8), *cluster_,
                                         ProducerOptions{.stream = StreamId("web")});
  Append(0);
  ASSERT_TRUE(RunUntilTold(1));
  EXPECT_EQ(results_[0].status.code(), absl::StatusCode::kNotFound);
  simulation_.RunFor(absl::Seconds(2));
  Append(1);
  ASSERT_TRUE(RunUntilTold(2)) << "the stream was created meanwhile";
  EXPECT_EQ(results_[1].outcome, Outcome::kAcknowledged);
}

TEST_F(ProducerTest, WaitsForTheFirstRoutes) {
  Start();
  cluster_->describe_answers.assign(5, absl::UnavailableError("no node"));
  producer_ = std::make_unique<Producer>(clock_, executor_, Random(8), *cluster_,
                                         ProducerOptions{.stream = StreamId("web")});
  AppendMany(0, 3);
  bool flushed = false;
  producer_->Flush([&] { flushed = true; });
  EXPECT_FALSE(flushed);
  ASSERT_TRUE(simulation_.RunUntilTrue([&] { return flushed; }, kLong));
  EXPECT_EQ(Count(Outcome::kAcknowledged), 3u);
}

TEST_F(ProducerTest, FlushesWhatLingers) {
  Start(With([](BatchOptions& batch) { batch.linger = absl::Seconds(1); }));
  bool flushed = false;
  AppendMany(0, 10);
  producer_->Flush([&] { flushed = true; });
  simulation_.RunFor(absl::Milliseconds(10));
  EXPECT_TRUE(flushed);
  EXPECT_EQ(Count(Outcome::kAcknowledged), 10u);
}

TEST_F(ProducerTest, TellsEveryOutcomeWhenItsTimeToCloseIsUp) {
  Start(OneEventBlocks());
  cluster_->silent = {NodeId("a1"), NodeId("b1"), NodeId("c1")};
  AppendMany(0, 40);
  std::optional<bool> all_settled;
  producer_->Close(absl::Seconds(2), [&](bool all) { all_settled = all; });
  Append(40);
  EXPECT_EQ(results_[40].status.code(), absl::StatusCode::kUnavailable);
  simulation_.RunFor(absl::Seconds(3));
  EXPECT_EQ(all_settled, false);
  EXPECT_EQ(Count(Outcome::kUnknown), Producer::kWindowBlocks);
  EXPECT_EQ(Count(Outcome::kNotStored), 41 - Producer::kWindowBlocks);
}

TEST_F(ProducerTest, TellsWhatStoodInTheWayWhenItsTimeToCloseIsUp) {
  Start();
  cluster_->answers.assign(1000, NotStored(absl::ResourceExhaustedError("the disk is full")));
  Append(0);
  producer_->Close(absl::Seconds(2), [](bool) {});
  ASSERT_TRUE(RunUntilTold(1));
  EXPECT_EQ(results_[0].outcome, Outcome::kNotStored);
  EXPECT_THAT(results_[0].status.message(),
              testing::HasSubstr("the last answer was: the disk is full"));
}

TEST_F(ProducerTest, DoesNothingAtAllWhileIdle) {
  Start();
  Append(0);
  ASSERT_TRUE(RunUntilTold(1));
  simulation_.RunFor(absl::Seconds(1));
  const uint64_t steps = simulation_.steps();
  simulation_.RunFor(absl::Hours(1));
  EXPECT_EQ(simulation_.steps(), steps);
}

// Everything at once, from seeds: G2, G3 and G4 hold whatever the network and the owners do.
TEST_F(ProducerTest, KeepsItsPromisesWhileOwnersComeAndGo) {
  for (uint64_t seed = 1; seed <= 40; seed++) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Random random(seed);
    results_.clear();
    const bool gives_up = seed % 3 == 0;
    Start(With([&](BatchOptions& batch) {
            batch.block_bytes_max = 300;
            if (gives_up) batch.give_up_after = absl::Seconds(2);
          }),
          3);
    cluster_->drop_request = [&] { return random.Chance(0.02); };
    cluster_->drop_answer = [&] { return random.Chance(0.02); };
    int next = 0;
    for (int step = 0; step < 150; step++) {
      const int count = static_cast<int>(random.Below(20));
      for (int i = 0; i < count; i++, next++) Append(next, absl::StrCat("key-", next % 7));
      const NodeId& node = cluster_->nodes()[random.Below(3)];
      if (random.Chance(0.05)) cluster_->silent = {node};
      if (random.Chance(0.05)) cluster_->dead = {node};
      if (random.Chance(0.05)) cluster_->losing_answers = {node};
      if (random.Chance(0.1)) cluster_->Move(static_cast<uint32_t>(random.Below(3)), node);
      if (random.Chance(0.1)) {
        cluster_->silent.clear();
        cluster_->dead.clear();
        cluster_->losing_answers.clear();
      }
      simulation_.RunFor(random.Between(absl::ZeroDuration(), absl::Milliseconds(150)));
    }
    cluster_->silent.clear();
    cluster_->dead.clear();
    cluster_->losing_answers.clear();
    ASSERT_TRUE(RunUntilTold(static_cast<size_t>(next))) << results_.size() << " of " << next;
    if (!gives_up) {
      EXPECT_EQ(Count(Outcome::kAcknowledged), static_cast<size_t>(next));
    }

    std::map<int, int> stored;
    std::map<int, int> last_of_key;
    for (uint32_t partition = 0; partition < 3; partition++) {
      for (const int number : StoredIn(partition)) {
        stored[number]++;
        const auto [at, first] = last_of_key.try_emplace(number % 7, number);
        if (!first) {
          EXPECT_LT(std::exchange(at->second, number), number);
        }
      }
    }
    for (const auto& [number, result] : results_) {
      const int copies = stored.contains(number) ? stored[number] : 0;
      const int least = result.outcome == Outcome::kAcknowledged ? 1 : 0;
      const int most = result.outcome == Outcome::kNotStored ? 0 : 1;
      EXPECT_GE(copies, least) << number;
      EXPECT_LE(copies, most) << number;
    }
  }
}

}  // namespace
}  // namespace forebay
