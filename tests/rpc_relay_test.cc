#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "rpc/block_relay.h"
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
