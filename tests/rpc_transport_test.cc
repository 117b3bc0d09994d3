#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "forebay/v1/peer.grpc.pb.h"
#include "peer/grpc_transport.h"
#include "runtime/thread_executor.h"
#include "server/rpc_server.h"
#include "simulation/sim_network.h"
#include "support/inbox.h"
#include "transport_contract.h"

namespace forebay {
namespace {

// One node's transports and server on loopback, without a node behind them.
class GrpcNode {
 public:
  explicit GrpcNode(const std::string& name, const std::string& listen = "127.0.0.1:0",
                    size_t queue_bytes_max = 64 << 20)
      : messages_(Options(name, PeerLane::kMessages, queue_bytes_max)),
        heartbeats_(Options(name, PeerLane::kHeartbeats, queue_bytes_max)) {
    RpcServerOptions options;
    options.listen = listen;
    auto server = RpcServer::Listen(options, messages_, heartbeats_);
    if (!server.ok()) ADD_FAILURE() << server.status();
    server_ = *std::move(server);
  }
  ~GrpcNode() { server_->Shutdown(absl::ZeroDuration()); }

  const std::string& address() const { return server_->address(); }
  GrpcTransport& messages() { return messages_; }
  GrpcTransport& heartbeats() { return heartbeats_; }

 private:
  static GrpcTransportOptions Options(const std::string& name, PeerLane lane, size_t bytes) {
    GrpcTransportOptions options;
    options.self = NodeId(name);
    options.lane = lane;
    options.queue_bytes_max = bytes;
    return options;
  }

  GrpcTransport messages_;
  GrpcTransport heartbeats_;
  std::unique_ptr<RpcServer> server_;
};

class GrpcWorld final : public TransportWorld {
 public:
  explicit GrpcWorld(PeerLane lane) : lane_(lane) {
    std::map<NodeId, std::string> addresses;
    for (const char* name : {"a", "b", "c"}) {
      nodes_.emplace(name, std::make_unique<GrpcNode>(name));
      addresses.emplace(NodeId(name), nodes_.at(name)->address());
    }
    for (const auto& [name, node] : nodes_) At(name).SetPeers(addresses);
  }
  Transport& At(const std::string& node) override {
    GrpcNode& at = *nodes_.at(node);
    return lane_ == PeerLane::kMessages ? at.messages() : at.heartbeats();
  }
  bool Until(std::function<bool()> holds) override { return Eventually(holds); }

 private:
  const PeerLane lane_;
  std::map<std::string, std::unique_ptr<GrpcNode>> nodes_;
};

class SimulatedWorld final : public TransportWorld {
 public:
  SimulatedWorld() {
    for (const char* name : {"a", "b", "c"}) {
      executors_.emplace(name, std::make_unique<SimExecutor>(simulation_));
      transports_.emplace(name, std::make_unique<SimTransport>(network_, NodeId(name), Lane::kMain,
                                                               *executors_.at(name)));
      At(name).SetPeers({{NodeId("a"), "1"}, {NodeId("b"), "2"}, {NodeId("c"), "3"}});
    }
  }
  Transport& At(const std::string& node) override { return *transports_.at(node); }
  bool Until(std::function<bool()> holds) override {
    return simulation_.RunUntilTrue(holds, absl::Minutes(1));
  }

 private:
  Simulation simulation_;
  SimNetwork network_{simulation_, Random(1)};
  std::map<std::string, std::unique_ptr<SimExecutor>> executors_;
  std::map<std::string, std::unique_ptr<SimTransport>> transports_;
};

INSTANTIATE_TEST_SUITE_P(
    AllTransports, TransportContract,
    testing::Values(TransportKind{"GrpcMessages",
                                  [] { return std::make_unique<GrpcWorld>(PeerLane::kMessages); }},
                    TransportKind{
                        "GrpcHeartbeats",
                        [] { return std::make_unique<GrpcWorld>(PeerLane::kHeartbeats); }},
                    TransportKind{"Simulated", [] { return std::make_unique<SimulatedWorld>(); }}),
    [](const auto& info) { return info.param.name; });

Message Beat(uint64_t number) { return Heartbeat{ProcessLife(number)}; }

Message Mirror(uint64_t first, size_t bytes) {
  Event event;
  event.id = "e";
  event.time = absl::FromUnixSeconds(1);
  event.payload = std::string(bytes, 'x');
  MirrorRequest request;
  request.segment = {{StreamId("web"), 0}, Epoch(1)};
  request.first = Offset(first);
  request.blocks.push_back(*EncodeBlock({ProducerId("p"), 0, first}, {&event, 1}, Codec::kNone));
  return request;
}

class GrpcTransportTest : public testing::Test {
 protected:
  void Connect(GrpcNode& from, const std::string& name, const std::string& address) {
    from.messages().SetPeers({{NodeId(name), address}});
  }
  void Collect(GrpcNode& node) {
    node.messages().Receive([this](const NodeId&, Message message) {
      if (const auto* beat = std::get_if<Heartbeat>(&message)) got_.Add(beat->life.value());
      if (const auto* mirror = std::get_if<MirrorRequest>(&message)) {
        got_.Add(mirror->first.value());
      }
    });
  }
  // What the peer service answers to a hello.
  grpc::Status Greet(GrpcNode& node, uint32_t version, const std::string& to) {
    const auto stub =
        v1::Peer::NewStub(grpc::CreateChannel(node.address(), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    const auto stream = stub->Exchange(&context);
    v1::PeerEnvelope envelope;
    envelope.mutable_hello()->set_protocol_version(version);
    envelope.mutable_hello()->set_from("z");
    envelope.mutable_hello()->set_to(to);
    stream->Write(envelope);
    stream->WritesDone();
    v1::PeerWelcome welcome;
    while (stream->Read(&welcome)) {
    }
    return stream->Finish();
  }
  void ReachesAPeerThatWasAwayFor(absl::Duration time) {
    GrpcNode a("a");
    auto b = std::make_unique<GrpcNode>("b");
    const std::string address = b->address();
    Collect(*b);
    Connect(a, "b", address);
    a.messages().Send(NodeId("b"), Beat(1));
    ASSERT_EQ(got_.WaitFor(1).size(), 1u);
    b.reset();
    absl::SleepFor(time);
    b = std::make_unique<GrpcNode>("b", address);
    Collect(*b);
    ASSERT_TRUE(Eventually([&] {
      a.messages().Send(NodeId("b"), Beat(2));
      return got_.size() >= 2;
    }));
    EXPECT_EQ(got_.WaitFor(2).back(), 2u);
  }

  Inbox<uint64_t> got_;
};

TEST_F(GrpcTransportTest, CarriesTheLargestBlocksInOrderWithSmallMessages) {
  GrpcNode a("a"), b("b");
  Collect(b);
  Connect(a, "b", b.address());
  a.messages().Send(NodeId("b"), Beat(0));
  ASSERT_EQ(got_.WaitFor(1).size(), 1u);
  for (uint64_t i = 1; i <= 20; i++) {
    a.messages().Send(NodeId("b"), i % 2 == 0 ? Beat(i) : Mirror(i, EventLimits::kPayloadBytesMax));
  }
  const std::vector<uint64_t> got = got_.WaitFor(21);
  ASSERT_EQ(got.size(), 21u);
  for (uint64_t i = 0; i <= 20; i++) EXPECT_EQ(got[i], i);
}

TEST_F(GrpcTransportTest, ReachesAPeerThatComesBackAtTheSameAddress) {
  ReachesAPeerThatWasAwayFor(absl::ZeroDuration());
}

// Also under a clock that is off (rpc_transport_clock_test).
TEST_F(GrpcTransportTest, ReachesAPeerThatComesBackAfterAttemptsHaveFailed) {
  ReachesAPeerThatWasAwayFor(absl::Milliseconds(400));
}

TEST_F(GrpcTransportTest, ReachesAPeerThatHasMovedToAnotherAddress) {
  GrpcNode a("a");
  auto old = std::make_unique<GrpcNode>("b");
  Connect(a, "b", old->address());
  old.reset();
  GrpcNode moved("b");
  Collect(moved);
  Connect(a, "b", moved.address());
  a.messages().Send(NodeId("b"), Beat(1));
  EXPECT_EQ(got_.WaitFor(1), std::vector<uint64_t>{1});
}

TEST_F(GrpcTransportTest, DialsThroughTheAddressThatIsGivenInstead) {
  GrpcNode b("b");
  Collect(b);
  GrpcTransportOptions options;
  options.self = NodeId("a");
  options.dial_instead = {{NodeId("b"), b.address()}};
  GrpcTransport a(options);
  a.SetPeers({{NodeId("b"), "127.0.0.1:1"}});
  a.Send(NodeId("b"), Beat(1));
  EXPECT_EQ(got_.WaitFor(1), std::vector<uint64_t>{1});
}

// H8: what a peer does not take must not fill the sender's memory.
TEST_F(GrpcTransportTest, KeepsABoundedNumberOfBytesForAPeerThatIsNotThere) {
  GrpcNode a("a");
  Connect(a, "b", "127.0.0.1:1");
  for (uint64_t i = 0; i < 100; i++) a.messages().Send(NodeId("b"), Mirror(i, 100'000));
  // 1 MiB holds ten of them.
  EXPECT_GE(a.messages().stats().dropped_messages, 89u);
}

TEST_F(GrpcTransportTest, DropsWhatOverfillsTheQueueOfAConnectedPeer) {
  Mutex gate;
  Inbox<int> entered;
  GrpcNode a("a", "127.0.0.1:0", 1 << 20), b("b");
  gate.Lock();
  b.messages().Receive([&](const NodeId&, const Message&) {
    entered.Add(1);
    MutexLock lock(gate);  // a peer that takes nothing more
  });
  Connect(a, "b", b.address());
  a.messages().Send(NodeId("b"), Beat(1));
  EXPECT_EQ(entered.WaitFor(1).size(), 1u);
  // More than the connection's own buffers hold.
  for (uint64_t i = 0; i < 200; i++) a.messages().Send(NodeId("b"), Mirror(i, 500'000));
  EXPECT_GT(a.messages().stats().dropped_messages, 100u);
  gate.Unlock();
}

TEST_F(GrpcTransportTest, RefusesAnotherProtocolVersionAndSaysWhatToDo) {
  GrpcNode b("b");
  const grpc::Status status = Greet(b, 2, "b");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(),
            "node b speaks peer protocol version 1, node z speaks version 2: run the same release "
            "on both");
}

// A node that got the port of another one must not take its blocks.
TEST_F(GrpcTransportTest, RefusesAHelloThatIsMeantForAnotherNode) {
  GrpcNode b("b");
  EXPECT_TRUE(Greet(b, 1, "b").ok());
  const grpc::Status status = Greet(b, 1, "c");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(status.error_message().find("node b listens here, not node c"), std::string::npos);
}

TEST_F(GrpcTransportTest, StopsWhileConnectedAndWhileDialling) {
  GrpcNode b("b");
  GrpcTransportOptions options;
  options.self = NodeId("a");
  auto a = std::make_unique<GrpcTransport>(options);
  a->SetPeers({{NodeId("b"), b.address()}, {NodeId("c"), "127.0.0.1:1"}});
  Collect(b);
  a->Send(NodeId("b"), Beat(1));
  EXPECT_EQ(got_.WaitFor(1).size(), 1u);
  a->Stop();
  a->Send(NodeId("b"), Beat(2));
  a.reset();
  EXPECT_EQ(got_.size(), 1u);
}

TEST_F(GrpcTransportTest, StopWaitsForAHandlerThatIsRunning) {
  Inbox<std::string> events;
  Inbox<int> gate;
  GrpcNode a("a"), b("b");
  b.messages().Receive([&](const NodeId&, const Message&) {
    events.Add("entered");
    gate.WaitFor(1);
    events.Add("left");
  });
  Connect(a, "b", b.address());
  a.messages().Send(NodeId("b"), Beat(1));
  ASSERT_EQ(events.WaitFor(1).size(), 1u);
  ThreadExecutor stopper("stopper");
  stopper.Post([&] {
    b.messages().Stop();
    events.Add("stopped");
  });
  // If Stop did not wait, it would have returned by then.
  Mutex mutex;
  CondVar never;
  for (int i = 0; i < 30 && events.size() < 2; i++) {
    MutexLock lock(mutex);
    never.WaitFor(mutex, absl::Milliseconds(10));
  }
  gate.Add(1);
  EXPECT_EQ(events.WaitFor(3), (std::vector<std::string>{"entered", "left", "stopped"}));
}

TEST_F(GrpcTransportTest, RefusesAPortThatIsTaken) {
  GrpcNode a("a");
  GrpcTransportOptions options;
  options.self = NodeId("b");
  GrpcTransport messages(options), heartbeats(options);
  RpcServerOptions server;
  server.listen = a.address();
  const auto second = RpcServer::Listen(server, messages, heartbeats);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(second.status().message().find(a.address()), absl::string_view::npos);
}

}  // namespace
}  // namespace forebay
