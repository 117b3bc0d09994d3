// How much callers may ask of a node at once: connections, and calls on each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "forebay/v1/admin.grpc.pb.h"
#include "forebay/v1/ingest.grpc.pb.h"
#include "rpc/credentials.h"
#include "rpc/grpc_channel.h"
#include "rpc/unary_request.h"
#include "support/served_node.h"
#include "support/test_certificates.h"
#include "wire/protocol_version.h"

namespace forebay {
namespace {

using grpc::StatusCode;

class LimitsTest : public testing::Test {
 protected:
  void Serve(RpcServerOptions options) {
    node_ = std::make_unique<ServedNode>("a", std::move(options));
    node_->Serve();
  }
  std::shared_ptr<grpc::Channel> Connect(const Credentials* credentials = nullptr) {
    return Dial(node_->address(), credentials);
  }
  static grpc::Status Ask(const std::shared_ptr<grpc::Channel>& channel, absl::Duration limit,
                          bool wait = false) {
    grpc::ClientContext context;
    context.set_deadline(DeadlineIn(limit));
    context.set_wait_for_ready(wait);
    v1::StatusResponse response;
    return v1::Admin::NewStub(channel)->Status(&context, {}, &response);
  }

  std::unique_ptr<ServedNode> node_;
};

TEST_F(LimitsTest, AConnectionBeyondTheLimitIsClosedUntilAnotherEnds) {
  RpcServerOptions options;
  options.limits.connections_max = 1;
  Serve(options);
  auto first = Connect();
  EXPECT_TRUE(Ask(first, absl::Seconds(20)).ok());
  const auto second = Connect();
  EXPECT_EQ(Ask(second, absl::Seconds(20)).error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Ask(first, absl::Seconds(20)).ok()) << "it was there before";
  EXPECT_GE(node_->server().connections().refused, 1u);
  first.reset();
  EXPECT_TRUE(Ask(second, absl::Seconds(60), /*wait=*/true).ok());
}

TEST_F(LimitsTest, AConnectionBeyondTheLimitIsClosedUnderTlsToo) {
  const TestAuthority authority;
  RpcServerOptions options;
  options.limits.connections_max = 1;
  options.credentials = *Credentials::Load(authority.IssueForNode("a"), NodeId("a"));
  const auto client = *Credentials::Load(authority.IssueForClient("shop"));
  Serve(options);
  auto first = Connect(client.get());
  EXPECT_TRUE(Ask(first, absl::Seconds(20)).ok());
  const auto second = Connect(client.get());
  EXPECT_EQ(Ask(second, absl::Seconds(20)).error_code(), StatusCode::UNAVAILABLE);
  first.reset();
  EXPECT_TRUE(Ask(second, absl::Seconds(60), /*wait=*/true).ok());
}

TEST_F(LimitsTest, ACallBeyondTheLimitOfItsConnectionWaitsForAnother) {
  RpcServerOptions options;
  options.limits.calls_per_connection_max = 1;
  Serve(options);
  const auto channel = Connect();
  const auto stub = v1::Ingest::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = stub->AppendBlocks(&context);
  v1::AppendBlocksRequest hello;
  hello.set_protocol_version(kProtocolVersion);
  ASSERT_TRUE(stream->Write(hello));
  EXPECT_EQ(Ask(channel, absl::Milliseconds(300)).error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Ask(Connect(), absl::Seconds(20)).ok()) << "another connection";
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(Ask(channel, absl::Seconds(20)).ok());
}

// Eight large events in two blocks that compress a thousandfold, then one as large as may be.
class TailLimitsTest : public LimitsTest {
 protected:
  TailLimitsTest() {
    Serve({});
    stub_ = v1::Ingest::NewStub(Connect());
    std::vector<Event> events(4);
    for (Event& event : events) event.payload = std::string(1'000'000, 'x');
    Append(events);
    Append(events);
    Event largest{.id = std::string(EventLimits::kIdBytesMax, 'i'),
                  .key = std::string(EventLimits::kKeyBytesMax, 'k'),
                  .type = std::string(EventLimits::kTypeBytesMax, 't'),
                  .payload = std::string(EventLimits::kPayloadBytesMax, 'p'),
                  .attributes = {}};
    for (size_t i = 0; i < EventLimits::kAttributesMax; i++) {
      const std::string name = std::to_string(i);
      largest.attributes.emplace_back(
          name, std::string(EventLimits::kAttributeBytesMax - name.size(), 'a'));
    }
    Append({largest});
  }

  void Append(const std::vector<Event>& events) {
    const BlockStamp stamp{ProducerId("p"), 0, sequence_};
    const Block block = *EncodeBlock(stamp, events, Codec::kZstd);
    node_->backend().Functions().append(
        {StreamId("web"), 0}, block,
        [](const AppendResult& result) { EXPECT_TRUE(result.status.ok()) << result.status; });
    sequence_ += events.size();
  }

  // From an offset to the end, in that many answers at most.
  std::vector<v1::TailResponse> Tail(uint64_t from, size_t answers_max = 100) {
    v1::TailRequest request;
    request.set_stream("web");
    request.set_offset(from);
    grpc::ClientContext context;
    const auto reader = stub_->Tail(&context, request);
    std::vector<v1::TailResponse> answers;
    for (v1::TailResponse answer; answers.size() < answers_max && reader->Read(&answer);) {
      if (!answer.events().empty()) answers.push_back(answer);
    }
    context.TryCancel();
    return answers;
  }

  std::unique_ptr<v1::Ingest::Stub> stub_;
  uint64_t sequence_ = 0;
};

// G9
TEST_F(TailLimitsTest, AnAnswerIsBoundedByTheBytesOfItsEventsAndSaysWhereTheNextBegins) {
  uint64_t next = 0;
  for (const v1::TailResponse& answer : Tail(0)) {
    EXPECT_LT(answer.ByteSizeLong(), 1'500'000u);
    for (const v1::TailEvent& event : answer.events()) EXPECT_EQ(event.offset(), next++);
    EXPECT_EQ(answer.next_offset(), next);
  }
  EXPECT_EQ(next, 9u);
}

TEST_F(TailLimitsTest, GoesOnFromWhereAnAnswerEndedInTheMiddleOfABlock) {
  for (uint64_t next = 0; next < 9; next++) {
    const std::vector<v1::TailResponse> first = Tail(next, 1);
    ASSERT_EQ(first.size(), 1u);
    EXPECT_EQ(first[0].events_size(), 1);
    EXPECT_EQ(first[0].events(0).offset(), next);
    EXPECT_EQ(first[0].next_offset(), next + 1);
  }
}

// G9: gRPC would unpack 17 MiB to 17 GiB before it looks at the size.
TEST_F(LimitsTest, AMessageThatGrpcWouldHaveToUnpackIsRefused) {
  Serve({});
  const auto stub = v1::Ingest::NewStub(Connect());
  v1::AppendRequest request;
  request.set_stream("web");
  request.add_events()->set_payload(std::string(10'000, 'x'));
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    v1::AppendResponse response;
    const grpc::Status status = stub->Append(&context, request, &response);
    EXPECT_EQ(status.error_code(), StatusCode::UNIMPLEMENTED) << status.error_message();
    EXPECT_NE(status.error_message().find("ompression"), std::string::npos)
        << status.error_message();
  }
  grpc::ClientContext context;
  v1::AppendResponse response;
  EXPECT_TRUE(stub->Append(&context, request, &response).ok());
}

}  // namespace
}  // namespace forebay
