#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/grpc_ingest_link.h"
#include "client/remote_cluster.h"
#include "runtime/thread_executor.h"
#include "support/inbox.h"
#include "support/served_node.h"

namespace forebay {
namespace {

const StreamId kWeb("web");
const PartitionId kFirst{kWeb, 0};

Block MakeBlock(uint64_t sequence, size_t bytes = 1) {
  Event event;
  event.payload = std::string(bytes, 'x');
  return *EncodeBlock({ProducerId("p"), 0, sequence}, {&event, 1}, Codec::kNone);
}

class IngestLinkTest : public testing::Test {
 protected:
  IngestLinkTest() : a_("a"), b_("b") {
    for (ServedNode* node : {&a_, &b_}) {
      node->backend().SetNodes({{"a", a_.address()}, {"b", b_.address()}});
      node->backend().SetOwner(kFirst, "a");
      node->backend().SetOwner({kWeb, 1}, "b");
      node->Serve();
    }
  }
  ~IngestLinkTest() override { Disconnect(); }

  void ConnectTo(std::vector<std::string> seeds, size_t unanswered_bytes_max = 256 << 20) {
    GrpcIngestLinkOptions options;
    options.seeds = std::move(seeds);
    options.unanswered_bytes_max = unanswered_bytes_max;
    Connect(std::move(options));
  }
  void Connect(GrpcIngestLinkOptions options) {
    On([&] { link_ = std::make_unique<GrpcIngestLink>(home_, std::move(options)); });
  }
  void Disconnect() {
    On([&] { link_ = nullptr; });
  }
  // Runs it on the link's executor and waits.
  template <typename Work>
  void On(Work work) {
    Inbox<int> done;
    home_.Post([&] {
      work();
      done.Add(1);
    });
    ASSERT_EQ(done.WaitFor(1).size(), 1u);
  }
  absl::StatusOr<StreamRoutes> Describe(const StreamId& stream) {
    Inbox<absl::StatusOr<StreamRoutes>> got;
    home_.Post([&] { link_->Describe(stream, [&](auto routes) { got.Add(std::move(routes)); }); });
    const auto all = got.WaitFor(1);
    return all.empty() ? absl::DeadlineExceededError("no callback") : all[0];
  }
  void Send(const std::string& node, const PartitionId& partition, Block block) {
    home_.Post([this, node, partition, block = std::move(block)]() mutable {
      link_->SendBlock(NodeId(node), partition, std::move(block),
                       [this](AppendResult result) { results_.Add(std::move(result)); });
    });
  }

  ServedNode a_, b_;
  Inbox<AppendResult> results_;
  std::unique_ptr<GrpcIngestLink> link_;
  ThreadExecutor home_{"home"};
};

TEST_F(IngestLinkTest, DescribesAndBringsBlocksToTheNodeThatIsNamed) {
  ConnectTo({a_.address()});
  const auto routes = Describe(kWeb);
  ASSERT_TRUE(routes.ok()) << routes.status();
  ASSERT_EQ(routes->routes.size(), 2u);
  EXPECT_EQ(routes->routes[0].owner, NodeId("a"));
  EXPECT_EQ(routes->routes[1].owner, NodeId("b"));
  EXPECT_EQ(routes->routes[1].owner_zone, ZoneId("zone-b"));
  EXPECT_EQ(routes->routes[1].replicas, (std::vector<NodeId>{NodeId("a"), NodeId("b")}));
  for (uint64_t i = 0; i < 50; i++) Send("b", {kWeb, 1}, MakeBlock(i));
  const auto results = results_.WaitFor(50);
  ASSERT_EQ(results.size(), 50u);
  for (uint64_t i = 0; i < 50; i++) {
    EXPECT_EQ(results[i].outcome, Outcome::kAcknowledged);
    EXPECT_EQ(results[i].offset, Offset(i));
  }
  EXPECT_EQ(b_.backend().BlockCount({kWeb, 1}), 50u);
}

TEST_F(IngestLinkTest, AsksTheNextNodeWhenOneDoesNotAnswer) {
  // Nobody listens on the first; the second is down.
  b_.Shutdown();
  ConnectTo({"127.0.0.1:1", b_.address(), a_.address()});
  for (int i = 0; i < 4; i++) EXPECT_TRUE(Describe(kWeb).ok());
}

TEST_F(IngestLinkTest, ReportsAnUnknownStreamAtOnceAndNoNodeAsUnavailable) {
  ConnectTo({a_.address()});
  EXPECT_EQ(Describe(StreamId("wep")).status().code(), absl::StatusCode::kNotFound);
  Disconnect();
  ConnectTo({"127.0.0.1:1"});
  EXPECT_EQ(Describe(kWeb).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(IngestLinkTest, RefusesABlockForANodeItHasNotHeardOf) {
  ConnectTo({a_.address()});
  Send("z", kFirst, MakeBlock(0));
  const auto results = results_.WaitFor(1);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].outcome, Outcome::kNotStored);
  EXPECT_EQ(results[0].status.code(), absl::StatusCode::kUnavailable);
}

// G2: what was sent before the connection broke may have been stored.
TEST_F(IngestLinkTest, ReportsUnansweredBlocksAsUnknownWhenTheConnectionBreaks) {
  ConnectTo({a_.address()});
  ASSERT_TRUE(Describe(kWeb).ok());
  a_.backend().NextResult(std::nullopt);
  Send("a", kFirst, MakeBlock(0));
  ASSERT_TRUE(Eventually([&] { return a_.backend().unanswered() == 1; }));
  a_.Shutdown();
  const auto results = results_.WaitFor(1);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].outcome, Outcome::kUnknown);
}

// H8: a node that hangs must not fill the producer's memory.
TEST_F(IngestLinkTest, RefusesBlocksOverTheLimitOfUnansweredBytes) {
  ConnectTo({a_.address()}, 2500);
  ASSERT_TRUE(Describe(kWeb).ok());
  for (int i = 0; i < 3; i++) a_.backend().NextResult(std::nullopt);
  for (uint64_t i = 0; i < 3; i++) Send("a", kFirst, MakeBlock(i, 1000));
  const auto results = results_.WaitFor(1);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].outcome, Outcome::kNotStored);
  EXPECT_EQ(results[0].status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(RetryAfter(results[0].status).has_value());
}

TEST_F(IngestLinkTest, TellsAReplicaThatTheOwnerCannotBeReached) {
  ConnectTo({a_.address()});
  ASSERT_TRUE(Describe(kWeb).ok());
  Inbox<absl::Status> answers;
  home_.Post([&] {
    link_->AskToTakeOver(NodeId("b"), kFirst, Epoch(3), [&](auto s) { answers.Add(s); });
  });
  EXPECT_EQ(answers.WaitFor(1), std::vector<absl::Status>{absl::OkStatus()});
  EXPECT_EQ(b_.backend().asked(), std::vector<std::string>{"take over web/0 seen 3"});
}

TEST_F(IngestLinkTest, CallsTheNodeInItsOwnProcessWithoutTheNetwork) {
  FakeBackend local("local");
  local.SetNodes({{"a", a_.address()}});
  GrpcIngestLinkOptions options;
  options.local = local.Functions();
  Connect(std::move(options));
  ASSERT_TRUE(Describe(kWeb).ok());
  Send("local", kFirst, MakeBlock(0));
  EXPECT_EQ(results_.WaitFor(1).size(), 1u);
  EXPECT_EQ(local.BlockCount(kFirst), 1u);
  // And others over the network, by the addresses it knows.
  Send("a", kFirst, MakeBlock(1));
  EXPECT_EQ(results_.WaitFor(2).size(), 2u);
  EXPECT_EQ(a_.backend().BlockCount(kFirst), 1u);
}

TEST_F(IngestLinkTest, RunsNoCallbackAfterItsEnd) {
  ConnectTo({a_.address()});
  ASSERT_TRUE(Describe(kWeb).ok());
  a_.backend().NextResult(std::nullopt);
  Send("a", kFirst, MakeBlock(0));
  ASSERT_TRUE(Eventually([&] { return a_.backend().unanswered() == 1; }));
  Disconnect();
  On([] {});
  EXPECT_EQ(results_.size(), 0u);
}

TEST_F(IngestLinkTest, RemoteClusterSeesMovesAndTails) {
  RemoteCluster cluster({a_.address()});
  const auto status = cluster.Status(absl::Seconds(5));
  ASSERT_TRUE(status.ok()) << status.status();
  ASSERT_EQ(status->nodes.size(), 2u);
  ASSERT_EQ(status->partitions.size(), 2u);
  // The owner's own view of each, though only a was given.
  EXPECT_TRUE(status->partitions[0].owned_here);
  EXPECT_TRUE(status->partitions[1].owned_here);
  EXPECT_TRUE(status->silent.empty());

  EXPECT_TRUE(cluster.Move({kWeb, 1}, NodeId("a"), absl::Seconds(5)).ok());
  EXPECT_EQ(b_.backend().asked(), std::vector<std::string>{"hand over web/1 to 'a'"});
  EXPECT_EQ(cluster.Move({kWeb, 1}, NodeId("z"), absl::Seconds(5)).code(),
            absl::StatusCode::kNotFound);
  EXPECT_TRUE(cluster.DrainNode(NodeId("b"), absl::Seconds(5)).ok());
  EXPECT_EQ(b_.backend().asked().back(), "hand over all");
  EXPECT_EQ(*cluster.PartitionCount(kWeb, absl::Seconds(5)), 2u);
  EXPECT_EQ(cluster.PartitionCount(StreamId("wep"), absl::Seconds(5)).status().code(),
            absl::StatusCode::kNotFound);
  StreamOptions bad;
  bad.name = StreamId("Bad Name");
  EXPECT_EQ(cluster.CreateStream(bad, absl::Seconds(5)).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(IngestLinkTest, RemoteClusterSetsMaintenanceOfWhatIsThere) {
  RemoteCluster cluster({a_.address()});
  const auto set = [&](MaintenanceRecord::Of of, const char* name, bool leaving, const char* with) {
    return cluster.SetMaintenance({of, name, leaving, NodeId(with)}, absl::Seconds(5)).code();
  };
  using Of = MaintenanceRecord::Of;
  EXPECT_EQ(set(Of::kZone, "zone-b", true, ""), absl::StatusCode::kOk);
  EXPECT_EQ(a_.backend().asked().back(),
            R"({"format":1,"leaving":true,"name":"zone-b","of":"zone"})");
  EXPECT_EQ(set(Of::kNode, "a", true, "b"), absl::StatusCode::kOk);
  EXPECT_EQ(set(Of::kZone, "zone-z", true, ""), absl::StatusCode::kNotFound);
  EXPECT_EQ(set(Of::kNode, "a", true, "z"), absl::StatusCode::kNotFound);
  EXPECT_EQ(set(Of::kNode, "gone", false, ""), absl::StatusCode::kOk);  // called off
  EXPECT_EQ(set(Of::kNode, "a", true, "a"), absl::StatusCode::kInvalidArgument);
}

TEST_F(IngestLinkTest, RemoteClusterNamesTheNodesThatDoNotAnswer) {
  b_.Shutdown();
  RemoteCluster cluster({a_.address()});
  const auto status = cluster.Status(absl::Seconds(5));
  ASSERT_TRUE(status.ok()) << status.status();
  ASSERT_EQ(status->silent.size(), 1u);
  EXPECT_EQ(status->silent[0].first, NodeId("b"));
  RemoteCluster nobody({"127.0.0.1:1"});
  const absl::Status alone = nobody.Status(absl::Seconds(5)).status();
  EXPECT_EQ(alone.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(alone.message()), testing::HasSubstr("is the node running"));
}

TEST_F(IngestLinkTest, RemoteTailGoesOnAtTheNewOwnerWithoutAGap) {
  ConnectTo({a_.address()});
  ASSERT_TRUE(Describe(kWeb).ok());
  for (uint64_t i = 0; i < 4; i++) Send("a", kFirst, MakeBlock(i));
  ASSERT_EQ(results_.WaitFor(4).size(), 4u);
  // The new owner has the same and more.
  b_.backend().SetOwner(kFirst, "b");
  for (uint64_t i = 0; i < 6; i++) Send("b", kFirst, MakeBlock(i));
  ASSERT_EQ(results_.WaitFor(10).size(), 10u);
  b_.backend().SetOwner(kFirst, "a");
  RemoteCluster cluster({b_.address()});
  std::vector<uint64_t> offsets;
  const absl::Status status =
      cluster.Tail(kFirst, {}, true, absl::Seconds(20), [&](absl::Span<const TailedEvent> events) {
        for (const TailedEvent& event : events) offsets.push_back(event.offset.value());
        if (offsets.size() == 4) {
          a_.backend().SetOwner(kFirst, "b");
          b_.backend().SetOwner(kFirst, "b");
        }
        return offsets.size() < 6;
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(offsets, (std::vector<uint64_t>{0, 1, 2, 3, 4, 5}));
}

}  // namespace
}  // namespace forebay
