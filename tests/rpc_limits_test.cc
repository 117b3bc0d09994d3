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

}  // namespace
}  // namespace forebay
