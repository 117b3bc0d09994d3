#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/random.h"
#include "server/block_relay.h"
#include "support/fake_cluster.h"
#include "support/sim_executor.h"

namespace forebay {
namespace {

const PartitionId kFirst{StreamId("web"), 0};

// Nodes that do as they are told, in virtual time.
class ScriptedLink final : public IngestLink {
 public:
  explicit ScriptedLink(Executor& executor) : executor_(executor) {}

  void Describe(const StreamId& stream, RoutesDone done) override {
    StreamRoutes routes;
    routes.stream = stream;
    Route route{kFirst, Epoch(3), owner, ZoneId("z"), replicas};
    routes.routes.push_back(route);
    executor_.Post([done = std::move(done), routes]() mutable { done(routes); });
  }
  void SendBlock(const NodeId& node, const PartitionId&, Block, AppendDone done) override {
    sent_to.push_back(node);
    if (node == silent) {
      unanswered.push_back(std::move(done));
      return;
    }
    AppendResult result = next;
    next = Stored(7);
    executor_.Post([done = std::move(done), result]() mutable { done(result); });
  }
  void AskToTakeOver(const NodeId& node, const PartitionId&, Epoch epoch, Done) override {
    asked.push_back(node.value() + "@" + std::to_string(epoch.value()));
    owner = node;
  }

  static AppendResult Stored(uint64_t offset) {
    AppendResult result;
    result.outcome = Outcome::kAcknowledged;
    result.offset = Offset(offset);
    return result;
  }
  static AppendResult Failed(Outcome outcome, absl::Status status) {
    AppendResult result;
    result.outcome = outcome;
    result.status = std::move(status);
    return result;
  }

  NodeId owner{"a"};
  std::vector<NodeId> replicas{NodeId("a"), NodeId("b"), NodeId("c")};
  NodeId silent;
  AppendResult next = Stored(7);
  std::vector<NodeId> sent_to;
  std::vector<AppendDone> unanswered;
  std::vector<std::string> asked;

 private:
  Executor& executor_;
};

class BlockRelayTest : public testing::Test {
 protected:
  void Append(absl::Duration limit = absl::Seconds(10)) {
    Event event;
    relay_.Append(kFirst, *EncodeBlock({ProducerId("p"), 0, 0}, {&event, 1}, Codec::kNone), limit,
                  [this](AppendResult result) { results_.push_back(std::move(result)); });
  }
  absl::Duration UntilResult() {
    const absl::Time start = simulation_.Now();
    simulation_.RunUntilTrue([&] { return !results_.empty(); }, absl::Minutes(1));
    return simulation_.Now() - start;
  }

  Simulation simulation_;
  SimClock clock_{simulation_};
  SimExecutor executor_{simulation_};
  ScriptedLink link_{executor_};
  BlockRelay relay_{clock_, executor_, link_};
  std::vector<AppendResult> results_;
};

TEST_F(BlockRelayTest, BringsTheBlockToTheOwner) {
  Append();
  UntilResult();
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].offset, Offset(7));
  EXPECT_EQ(link_.sent_to, std::vector<NodeId>{NodeId("a")});
  EXPECT_TRUE(link_.asked.empty());
}

// G7: an owner that does not answer is replaced, although the caller knows nothing of owners.
TEST_F(BlockRelayTest, AsksTheNextReplicaToTakeOverAfter300MillisecondsOfSilence) {
  link_.silent = NodeId("a");
  Append();
  EXPECT_LT(UntilResult(), absl::Milliseconds(500));
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].outcome, Outcome::kAcknowledged);
  EXPECT_EQ(link_.asked, std::vector<std::string>{"b@3"});
  EXPECT_EQ(link_.sent_to, (std::vector<NodeId>{NodeId("a"), NodeId("b")}));
}

TEST_F(BlockRelayTest, AsksTheNextReplicaAtOnceWhenTheConnectionBreaks) {
  link_.next = ScriptedLink::Failed(Outcome::kUnknown, absl::UnavailableError("broke"));
  Append();
  EXPECT_LT(UntilResult(), absl::Milliseconds(100));
  EXPECT_EQ(link_.asked, std::vector<std::string>{"b@3"});
  EXPECT_EQ(results_[0].outcome, Outcome::kAcknowledged);
}

TEST_F(BlockRelayTest, CountsAnAcknowledgementThatComesLate) {
  link_.silent = NodeId("a");
  link_.replicas = {NodeId("a")};
  Append();
  simulation_.RunFor(absl::Seconds(1));
  ASSERT_GE(link_.unanswered.size(), 2u);
  link_.unanswered[0](ScriptedLink::Stored(5));
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].offset, Offset(5));
  // And only once.
  link_.unanswered[1](ScriptedLink::Stored(5));
  simulation_.RunFor(absl::Minutes(1));
  EXPECT_EQ(results_.size(), 1u);
}

TEST_F(BlockRelayTest, WaitsAsLongAsTheOwnerAsksFor) {
  link_.next = ScriptedLink::Failed(
      Outcome::kNotStored,
      WithRetryAfter(absl::ResourceExhaustedError("full"), absl::Milliseconds(700)));
  Append();
  EXPECT_GE(UntilResult(), absl::Milliseconds(700));
  EXPECT_EQ(results_[0].outcome, Outcome::kAcknowledged);
}

// G2
TEST_F(BlockRelayTest, SaysNotStoredWhenNothingWasEverSent) {
  link_.owner = NodeId();
  Append(absl::Seconds(2));
  EXPECT_GE(UntilResult(), absl::Seconds(2));
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].outcome, Outcome::kNotStored);
  EXPECT_EQ(results_[0].status.code(), absl::StatusCode::kUnavailable);
}

// G2
TEST_F(BlockRelayTest, SaysUnknownWhenAnyTryWasNotAnswered) {
  link_.silent = NodeId("a");
  link_.replicas = {NodeId("a")};
  Append(absl::Seconds(2));
  UntilResult();
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].outcome, Outcome::kUnknown);
  EXPECT_EQ(results_[0].status.code(), absl::StatusCode::kDeadlineExceeded);
}

// G2: the limit passes while the block is with the owner, for the first time.
TEST_F(BlockRelayTest, SaysUnknownOfWhatWasHandedOverAndNotAnsweredYet) {
  link_.silent = NodeId("a");
  Append(absl::Milliseconds(5));
  EXPECT_EQ(UntilResult(), absl::Milliseconds(5));
  EXPECT_EQ(results_[0].outcome, Outcome::kUnknown);
  EXPECT_EQ(results_[0].status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_NE(results_[0].status.message().find("owner 'a' of web/0 has not answered"),
            std::string::npos)
      << results_[0].status;
}

// G2: a refusal proves something about the attempt that it answers, and about no other one.
TEST_F(BlockRelayTest, SaysUnknownWhenOnlyTheLastTryWasRefused) {
  link_.silent = NodeId("a");
  Append(absl::Seconds(2));
  simulation_.RunFor(absl::Milliseconds(100));
  link_.next = ScriptedLink::Failed(Outcome::kNotStored, absl::FailedPreconditionError("gap"));
  UntilResult();
  EXPECT_EQ(results_[0].outcome, Outcome::kUnknown);
}

TEST_F(BlockRelayTest, SaysNotStoredWhenEveryTryWasRefusedEvenIfLate) {
  link_.silent = NodeId("a");
  link_.replicas = {NodeId("a")};
  Append(absl::Milliseconds(500));
  simulation_.RunFor(absl::Milliseconds(400));
  ASSERT_EQ(link_.unanswered.size(), 2u);
  for (auto& answer : link_.unanswered) {
    answer(ScriptedLink::Failed(Outcome::kNotStored, absl::UnavailableError("not the owner")));
  }
  link_.owner = NodeId();
  UntilResult();
  EXPECT_EQ(results_[0].outcome, Outcome::kNotStored);
}

// G2 and G3, with owners that come and go, and messages that are lost: whatever a caller with a
// short limit is told is true, and what is not stored leaves the sequence to another event.
TEST(BlockRelayLimits, TellNobodyNotStoredOfWhatIsStored) {
  for (uint64_t seed = 1; seed <= 50; seed++) {
    Random random(seed);
    Simulation simulation;
    SimClock clock{simulation};
    SimExecutor executor{simulation};
    FakeCluster cluster(executor, StreamId("web"), 3);
    BlockRelay relay(clock, executor, cluster);
    cluster.drop_request = [&] { return random.Chance(0.05); };
    cluster.drop_answer = [&] { return random.Chance(0.05); };
    std::set<std::string> stored, refused;
    size_t told = 0;
    const auto append = [&](int producer, const std::string& id, absl::Duration limit, auto then) {
      Event event;
      event.id = id;
      const BlockStamp stamp{ProducerId(absl::StrCat("p", producer)), 0, 0};
      relay.Append(cluster.Partition(static_cast<uint32_t>(producer % 3)),
                   *EncodeBlock(stamp, {&event, 1}, Codec::kNone), limit,
                   [&, id, then](const AppendResult& result) {
                     told++;
                     if (result.outcome == Outcome::kAcknowledged) stored.insert(id);
                     if (result.outcome != Outcome::kNotStored) return;
                     refused.insert(id);
                     then();
                   });
    };
    for (int i = 0; i < 200; i++) {
      cluster.latency = random.Between(absl::Microseconds(100), absl::Milliseconds(5));
      const NodeId& node = cluster.nodes()[random.Below(3)];
      cluster.silent.clear();
      if (random.Chance(0.2)) cluster.losing_answers = {node};
      if (random.Chance(0.2)) cluster.silent = {node};
      if (random.Chance(0.1)) cluster.Move(static_cast<uint32_t>(random.Below(3)), node);
      append(i, absl::StrCat("first-", i),
             random.Between(absl::Microseconds(500), absl::Milliseconds(6)), [&, i] {
               cluster.silent.clear();
               append(i, absl::StrCat("other-", i), absl::Seconds(60), [] {});
             });
      simulation.RunFor(random.Between(absl::ZeroDuration(), absl::Milliseconds(10)));
    }
    cluster.silent.clear();
    cluster.losing_answers.clear();
    cluster.drop_request = cluster.drop_answer = [] { return false; };
    simulation.RunFor(absl::Minutes(2));
    std::multiset<std::string> there;
    for (const Event& event : cluster.AllStored()) there.insert(event.id);
    for (const std::string& id : refused) EXPECT_EQ(there.count(id), 0u) << id << ", seed " << seed;
    for (const std::string& id : stored) EXPECT_EQ(there.count(id), 1u) << id << ", seed " << seed;
    EXPECT_EQ(told, 200 + refused.size()) << "seed " << seed;
    EXPECT_GT(refused.size(), 0u);
    EXPECT_GT(stored.size(), 0u);
  }
}

TEST_F(BlockRelayTest, PassesARefusalForGoodOnAtOnce) {
  link_.next =
      ScriptedLink::Failed(Outcome::kNotStored, absl::FailedPreconditionError("gap: next is 3"));
  Append();
  EXPECT_LT(UntilResult(), absl::Milliseconds(10));
  EXPECT_EQ(results_[0].outcome, Outcome::kNotStored);
  EXPECT_EQ(results_[0].status.message(), "gap: next is 3");
}

}  // namespace
}  // namespace forebay
