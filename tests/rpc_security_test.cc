// Who may do what: real certificates, real TLS, a fake node behind it.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <openssl/sha.h>

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "client/remote_cluster.h"
#include "forebay/v1/admin.pb.h"
#include "forebay/v1/ingest.grpc.pb.h"
#include "forebay/v1/peer.pb.h"
#include "rpc/credentials.h"
#include "rpc/grpc_channel.h"
#include "rpc/unary_request.h"
#include "support/served_node.h"
#include "support/test_certificates.h"
#include "wire/protocol_version.h"
#include "wire/status_wire.h"

namespace forebay {
namespace {

using grpc::StatusCode;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kToken[] = "0123456789abcdef-a-secret";

std::string Sha256Hex(const std::string& text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), sizeof digest});
}

// One authority for all tests: making certificates takes most of their time.
const TestAuthority& Authority() {
  static const TestAuthority authority;
  return authority;
}

std::shared_ptr<const Credentials> Load(const TlsOptions& tls, const std::string& token_file = "") {
  auto credentials = Credentials::Load(tls, {}, token_file);
  EXPECT_TRUE(credentials.ok()) << credentials.status();
  return credentials.ok() ? *credentials : nullptr;
}

// Sends the bytes as the first message and takes whatever comes until the call ends.
grpc::Status CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                     const std::string& request, std::string* answer = nullptr) {
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  context.set_deadline(DeadlineIn(absl::Seconds(20)));
  const auto stream = stub.PrepareCall(&context, method, &queue);
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return ok;
  };
  const grpc::Slice slice(request);
  stream->StartCall(nullptr);
  bool ok = wait();
  if (ok) {
    stream->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
    wait();
  }
  grpc::ByteBuffer bytes;
  for (ok = true; ok;) {
    stream->Read(&bytes, nullptr);
    ok = wait();
    grpc::Slice whole;
    if (ok && answer != nullptr && bytes.DumpToSingleSlice(&whole).ok()) {
      *answer = {reinterpret_cast<const char*>(whole.begin()), whole.size()};
    }
  }
  grpc::Status status;
  stream->Finish(&status, nullptr);
  wait();
  return status;
}

// A node with rules, and callers of every kind.
class AccessTest : public testing::Test {
 protected:
  AccessTest() {
    RpcServerOptions options;
    options.credentials = Load(Authority().IssueForNode("a"));
    options.hello_limit = absl::Milliseconds(300);
    options.access = {
        {.name = "shop", .token_sha256 = "", .append = {"web"}, .read = {}, .admin = {}},
        {.name = "report", .token_sha256 = "", .append = {}, .read = {"web"}, .admin = {}},
        {.name = "ops", .token_sha256 = "", .append = {}, .read = {}, .admin = {"web"}},
        {.name = "root", .token_sha256 = "", .append = {}, .read = {}, .admin = {"*"}},
        {.name = "mobile",
         .token_sha256 = Sha256Hex(kToken),
         .append = {"web"},
         .read = {},
         .admin = {}}};
    node_ = std::make_unique<ServedNode>("a", options);
    node_->Serve();
  }

  // With a certificate of that name; "": without any.
  std::shared_ptr<grpc::Channel> As(const std::string& name) {
    TlsOptions tls{.certificate = "", .key = "", .ca = Authority().ca()};
    if (!name.empty()) tls = Authority().IssueForClient(name);
    return Dial(node_->address(), Load(tls).get());
  }
  std::shared_ptr<grpc::Channel> WithToken(const std::string& token) {
    const std::string file = folder_.path() + "/token";
    std::ofstream(file) << token << "\n";
    return Dial(node_->address(), Load({"", "", Authority().ca()}, file).get());
  }

  TemporaryFolder folder_;
  std::unique_ptr<ServedNode> node_;
};

struct Request {
  std::string method;
  std::string bytes;       // of a request that is as it should be
  std::string wrong_role;  // who is known but may not do it; "": everybody known may
  std::string right_role;  // who may
  std::string malformed;   // a request of the right caller that cannot be done, and how it ends
  StatusCode malformed_code = StatusCode::OK;
};

template <typename Message, typename Fill>
std::string Bytes(Fill fill) {
  Message message;
  fill(message);
  return message.SerializeAsString();
}

template <typename Message>
std::string OnPartition(const std::string& stream, uint32_t partition) {
  return Bytes<Message>([&](Message& message) {
    message.set_stream(stream);
    message.set_partition(partition);
  });
}

std::string AppendOf(const std::string& stream, const std::string& key) {
  return Bytes<v1::AppendRequest>([&](v1::AppendRequest& request) {
    request.set_stream(stream);
    request.add_events()->set_key(key);
  });
}

std::string StreamNamed(const std::string& name, const std::string& codec) {
  return Bytes<v1::CreateStreamRequest>([&](v1::CreateStreamRequest& request) {
    request.set_name(name);
    request.set_codec(codec);
  });
}

std::string HelloFrom(const std::string& node) {
  return Bytes<v1::PeerEnvelope>([&](v1::PeerEnvelope& envelope) {
    envelope.mutable_hello()->set_protocol_version(kProtocolVersion);
    envelope.mutable_hello()->set_from(node);
    envelope.mutable_hello()->set_to("a");
  });
}

// Every method there is, or EveryMethodIsInTheTable fails.
std::vector<Request> Requests() {
  const std::string describe =
      Bytes<v1::DescribeRequest>([](v1::DescribeRequest& r) { r.set_stream("web"); });
  const std::string from_the_future = Bytes<v1::DescribeRequest>([](v1::DescribeRequest& r) {
    r.set_stream("web");
    r.set_protocol_version(99);
  });
  const std::string blocks_of_the_future = Bytes<v1::AppendBlocksRequest>(
      [](v1::AppendBlocksRequest& r) { r.set_protocol_version(99); });
  const std::string drain_b =
      Bytes<v1::DrainNodeRequest>([](v1::DrainNodeRequest& r) { r.set_node("b"); });
  const auto maintenance = [](const std::string& node, const std::string& zone) {
    return Bytes<v1::SetMaintenanceRequest>([&](v1::SetMaintenanceRequest& r) {
      r.set_node(node);
      r.set_zone(zone);
    });
  };
  return {
      {"/forebay.v1.Ingest/Append", AppendOf("web", "k"), "report", "shop",
       AppendOf("web", std::string(2000, 'k')), StatusCode::INVALID_ARGUMENT},
      {"/forebay.v1.Ingest/Tail", OnPartition<v1::TailRequest>("web", 0), "shop", "report",
       OnPartition<v1::TailRequest>("web", 7), StatusCode::NOT_FOUND},
      {"/forebay.v1.Ingest/Describe", describe, "stranger", "report", from_the_future,
       StatusCode::FAILED_PRECONDITION},
      {"/forebay.v1.Ingest/AppendBlocks", "", "", "shop", blocks_of_the_future,
       StatusCode::FAILED_PRECONDITION},
      {"/forebay.v1.Ingest/TakeOver", OnPartition<v1::TakeOverRequest>("web", 0), "report", "shop",
       OnPartition<v1::TakeOverRequest>("web", 7), StatusCode::NOT_FOUND},
      {"/forebay.v1.Admin/Status", "", "", "stranger", "", StatusCode::OK},
      {"/forebay.v1.Admin/TakeOver", OnPartition<v1::AdminTakeOverRequest>("web", 0), "shop", "ops",
       OnPartition<v1::AdminTakeOverRequest>("web", 7), StatusCode::NOT_FOUND},
      {"/forebay.v1.Admin/Move", OnPartition<v1::MoveRequest>("web", 0), "report", "ops",
       OnPartition<v1::MoveRequest>("web", 7), StatusCode::NOT_FOUND},
      {"/forebay.v1.Admin/DrainNode", "", "ops", "root", drain_b, StatusCode::FAILED_PRECONDITION},
      {"/forebay.v1.Admin/SetMaintenance", maintenance("", "b"), "ops", "root",
       maintenance("b", "b"), StatusCode::INVALID_ARGUMENT},
      {"/forebay.v1.Admin/SetAside", OnPartition<v1::SetAsideRequest>("web", 0), "report", "ops",
       OnPartition<v1::SetAsideRequest>("web", 7), StatusCode::NOT_FOUND},
      {"/forebay.v1.Admin/CreateStream", StreamNamed("logs", "lz4"), "ops", "root",
       StreamNamed("logs", "lz5"), StatusCode::INVALID_ARGUMENT},
      {"/forebay.v1.Peer/Exchange", HelloFrom("b"), "root", "b", HelloFrom(""),
       StatusCode::INVALID_ARGUMENT},
      {"/forebay.v1.Peer/Heartbeats", HelloFrom("b"), "shop", "b", HelloFrom(""),
       StatusCode::INVALID_ARGUMENT},
  };
}

TEST_F(AccessTest, EveryMethodIsInTheTable) {
  std::vector<std::string> known;
  for (const Request& request : Requests()) known.push_back(request.method);
  std::vector<std::string> all;
  for (const char* name : {"forebay.v1.Ingest", "forebay.v1.Admin", "forebay.v1.Peer"}) {
    const auto* service =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
    ASSERT_NE(service, nullptr) << name;
    for (int i = 0; i < service->method_count(); i++) {
      all.push_back(std::string("/") + name + "/" + service->method(i)->name());
    }
  }
  EXPECT_THAT(known, testing::UnorderedElementsAreArray(all));
}

TEST_F(AccessTest, RefusesWhomNobodyKnows) {
  for (const Request& request : Requests()) {
    const grpc::Status nobody = CallRaw(As(""), request.method, request.bytes);
    EXPECT_EQ(nobody.error_code(), StatusCode::UNAUTHENTICATED) << request.method;
    EXPECT_THAT(nobody.error_message(), HasSubstr("show a certificate"));
    const grpc::Status guess = CallRaw(WithToken("a-guess"), request.method, request.bytes);
    EXPECT_EQ(guess.error_code(), StatusCode::UNAUTHENTICATED) << request.method;
    EXPECT_THAT(guess.error_message(), Not(HasSubstr("a-guess")));
  }
  EXPECT_TRUE(node_->backend().asked().empty());
  EXPECT_EQ(node_->backend().BlockCount({StreamId("web"), 0}), 0u);
}

TEST_F(AccessTest, RefusesTheWrongRoleAndSaysWhichIsNeeded) {
  for (const Request& request : Requests()) {
    if (request.wrong_role.empty()) continue;
    const grpc::Status status = CallRaw(As(request.wrong_role), request.method, request.bytes);
    EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED)
        << request.method << ": " << status.error_message();
    EXPECT_THAT(status.error_message(), AllOf(HasSubstr("'" + request.wrong_role + "'"),
                                              AnyOf(HasSubstr("role"), HasSubstr("is not node"))));
  }
  EXPECT_TRUE(node_->backend().asked().empty());
  EXPECT_EQ(node_->backend().BlockCount({StreamId("web"), 0}), 0u);
}

TEST_F(AccessTest, RefusesWhatIsMalformedAndTakesWhatIsNot) {
  for (const Request& request : Requests()) {
    const bool is_node = request.right_role == "b";
    const auto channel = is_node ? Dial(node_->address(), Load(Authority().IssueForNode("b")).get())
                                 : As(request.right_role);
    const grpc::Status good = CallRaw(channel, request.method, request.bytes);
    EXPECT_TRUE(good.ok()) << request.method << ": " << good.error_message();
    const grpc::Status bad = CallRaw(channel, request.method, request.malformed);
    EXPECT_EQ(bad.error_code(), request.malformed_code)
        << request.method << ": " << bad.error_message();
    // Not even protobuf: gRPC's own answer for it.
    const grpc::Status garbage = CallRaw(channel, request.method, "\xff\xff\xff garbage");
    EXPECT_FALSE(garbage.ok()) << request.method;
  }
}

TEST_F(AccessTest, RefusesEachBlockOfAStreamThatTheCallerMayNotAppendTo) {
  const std::string blocks = Bytes<v1::AppendBlocksRequest>(
      [](v1::AppendBlocksRequest& request) { request.add_blocks()->set_stream("web"); });
  std::string answer;
  EXPECT_TRUE(CallRaw(As("report"), "/forebay.v1.Ingest/AppendBlocks", blocks, &answer).ok());
  v1::AppendBlocksResponse response;
  ASSERT_TRUE(response.ParseFromString(answer));
  ASSERT_EQ(response.results_size(), 1);
  EXPECT_EQ(response.results(0).outcome(), v1::APPEND_OUTCOME_NOT_STORED);
  EXPECT_EQ(response.results(0).code(), static_cast<uint32_t>(StatusCode::PERMISSION_DENIED));
}

TEST_F(AccessTest, TakesATokenInsteadOfACertificate) {
  const std::string append = AppendOf("web", "k");
  EXPECT_TRUE(CallRaw(WithToken(kToken), "/forebay.v1.Ingest/Append", append).ok());
  const grpc::Status refused =
      CallRaw(WithToken(kToken), "/forebay.v1.Ingest/Tail", OnPartition<v1::TailRequest>("web", 0));
  EXPECT_EQ(refused.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(refused.error_message(),
              AllOf(HasSubstr("'mobile'"), HasSubstr("role 'read' on stream 'web'"),
                    Not(HasSubstr(kToken)), Not(HasSubstr(Sha256Hex(kToken)))));
}

// A rule that asks for a token is not for those who have a certificate with its name.
TEST_F(AccessTest, TakesNoCertificateForAToken) {
  const grpc::Status status =
      CallRaw(As("mobile"), "/forebay.v1.Ingest/Append", AppendOf("web", "k"));
  EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED);
}

TEST_F(AccessTest, ShowsOnlyStreamsThatTheCallerHasARoleOn) {
  const auto partitions = [&](const std::string& name) {
    std::string answer;
    EXPECT_TRUE(CallRaw(As(name), "/forebay.v1.Admin/Status", "", &answer).ok());
    v1::StatusResponse response;
    EXPECT_TRUE(response.ParseFromString(answer));
    return response.partitions_size();
  };
  EXPECT_EQ(partitions("shop"), 2);
  EXPECT_EQ(partitions("stranger"), 0);
}

TEST_F(AccessTest, LetsANodeBringAppendsButNotReadThem) {
  const auto node = Dial(node_->address(), Load(Authority().IssueForNode("b")).get());
  EXPECT_TRUE(CallRaw(node, "/forebay.v1.Ingest/Append", AppendOf("web", "k")).ok());
  EXPECT_EQ(
      CallRaw(node, "/forebay.v1.Ingest/Tail", OnPartition<v1::TailRequest>("web", 0)).error_code(),
      StatusCode::PERMISSION_DENIED);
}

TEST_F(AccessTest, RefusesANodeThatSaysItIsAnother) {
  const auto node = Dial(node_->address(), Load(Authority().IssueForNode("b")).get());
  const grpc::Status status = CallRaw(node, "/forebay.v1.Peer/Exchange", HelloFrom("c"));
  EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("DNS:c.node.forebay"));
}

TEST_F(AccessTest, RefusesHeadersThatAreTooLarge) {
  const grpc::Status status = CallRaw(WithToken(std::string(kHeaderBytesMax + 1, 't')),
                                      "/forebay.v1.Ingest/Append", AppendOf("web", "k"));
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
}

// A slow sender: it opens a stream and holds it.
TEST_F(AccessTest, EndsAStreamOnWhichNothingIsSaid) {
  const auto stub = v1::Ingest::NewStub(As("shop"));
  grpc::ClientContext context;
  context.set_deadline(DeadlineIn(absl::Seconds(20)));
  const auto stream = stub->AppendBlocks(&context);
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_THAT(status.error_message(), HasSubstr("nothing was sent within 300ms"));
}

TEST_F(AccessTest, RefusesMessagesThatAreTooLarge) {
  const grpc::Status status =
      CallRaw(As("shop"), "/forebay.v1.Ingest/Append",
              AppendOf("web", std::string(static_cast<size_t>(kReceiveBytesMax), 'k')));
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
}

}  // namespace
}  // namespace forebay
