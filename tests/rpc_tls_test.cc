// Mutual TLS: real certificates of a throw-away authority, on loopback.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "client/remote_cluster.h"
#include "forebay/v1/peer.grpc.pb.h"
#include "rpc/credentials.h"
#include "rpc/grpc_channel.h"
#include "support/inbox.h"
#include "support/served_node.h"
#include "support/test_certificates.h"
#include "wire/protocol_version.h"
#include "wire/status_wire.h"

namespace forebay {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// One authority for most tests: making certificates takes most of their time.
const TestAuthority& Authority() {
  static const TestAuthority authority;
  return authority;
}

std::unique_ptr<ServedNode> Serve(const std::string& name, const TlsOptions& tls) {
  auto credentials = Credentials::Load(tls, NodeId(name));
  EXPECT_TRUE(credentials.ok()) << credentials.status();
  RpcServerOptions options;
  options.credentials = *credentials;
  auto node = std::make_unique<ServedNode>(name, options);
  node->Serve();
  return node;
}

absl::Status Ask(const ServedNode& node, const TlsOptions& tls) {
  RemoteCluster cluster(RemoteNodes{.addresses = {node.address()}, .tls = tls, .token_file = ""});
  return cluster.Status(absl::Seconds(5)).status();
}

TEST(Tls, ServesWhoShowsACertificateOfTheAuthority) {
  const auto node = Serve("a", Authority().IssueForNode("a"));
  EXPECT_TRUE(Ask(*node, Authority().IssueForClient("shop")).ok());
}

TEST(Tls, RefusesACertificateOfAnotherAuthority) {
  const auto node = Serve("a", Authority().IssueForNode("a"));
  const TestAuthority other;
  TlsOptions tls = other.IssueForClient("shop");
  tls.ca = Authority().ca();  // it trusts the node; the node does not trust it
  EXPECT_FALSE(Credentials::Load(tls).ok());
  // Even if the files were not looked at first, a caller of another world gets nowhere.
  EXPECT_EQ(Ask(*node, other.IssueForClient("shop")).code(), absl::StatusCode::kUnavailable);
}

TEST(Tls, SaysWhatToLookAtWhenTheNodeIsNotOfOurAuthority) {
  const auto node = Serve("a", Authority().IssueForNode("a"));
  const TestAuthority other;
  const absl::Status status = Ask(*node, other.IssueForClient("shop"));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("tls.ca"));
}

TEST(Tls, SaysWhatToLookAtWhenOnlyOneSideHasTls) {
  const ServedNode plain("a");
  EXPECT_THAT(std::string(Ask(plain, Authority().IssueForClient("shop")).message()),
              HasSubstr("does not speak TLS"));
  const auto node = Serve("a", Authority().IssueForNode("a"));
  EXPECT_THAT(std::string(Ask(*node, TlsOptions()).message()), HasSubstr("tls"));
}

// A certificate of our authority that is not the node's: for another host.
TEST(Tls, RefusesANodeWhoseCertificateIsForAnotherHost) {
  const auto node = Serve("a", Authority().Issue("a", "DNS:a.node.forebay,IP:10.1.2.3"));
  const absl::Status status = Ask(*node, Authority().IssueForClient("shop"));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("does not name the host"));
}

TEST(Tls, BringsMessagesBetweenNodes) {
  const auto a = Serve("a", Authority().IssueForNode("a"));
  const auto b = Serve("b", Authority().IssueForNode("b"));
  Inbox<std::string> inbox;
  b->messages().Receive(
      [&](const NodeId& from, const Message& /*message*/) { inbox.Add(from.value()); });
  a->messages().SetPeers({{NodeId("b"), b->address()}});
  a->messages().SendAll(NodeId("b"), {Heartbeat{ProcessLife(1)}});
  ASSERT_EQ(inbox.WaitFor(1).size(), 1u);
  EXPECT_EQ(inbox.WaitFor(1)[0], "a");
}

// The peer proves to be the node that was meant, wherever it is.
TEST(Tls, BringsNoMessagesToWhoIsNotTheNode) {
  const auto a = Serve("a", Authority().IssueForNode("a"));
  const auto c = Serve("c", Authority().IssueForNode("c"));
  const auto b = Serve("b", Authority().IssueForNode("b"));
  Inbox<std::string> inbox;
  for (const auto* node : {&b, &c}) {
    (*node)->messages().Receive([&inbox, node](const NodeId&, const Message&) {
      inbox.Add((*node)->messages().self().value());
    });
  }
  a->messages().SetPeers({{NodeId("x"), c->address()}, {NodeId("b"), b->address()}});
  a->messages().SendAll(NodeId("x"), {Heartbeat{ProcessLife(1)}});
  a->messages().SendAll(NodeId("b"), {Heartbeat{ProcessLife(1)}});
  EXPECT_EQ(inbox.WaitFor(1), std::vector<std::string>{"b"});
}

// An impostor that got the node's address: it says what the node would say.
TEST(Tls, SpeaksOnlyToTheNodeItMeans) {
  const auto greet = [](const ServedNode& node) {
    const auto credentials = *Credentials::Load(Authority().IssueForNode("a"));
    const auto stub = v1::Peer::NewStub(Dial(node.address(), credentials.get(), NodeId("b")));
    grpc::ClientContext context;
    const auto stream = stub->Exchange(&context);
    v1::PeerEnvelope hello;
    hello.mutable_hello()->set_protocol_version(kProtocolVersion);
    hello.mutable_hello()->set_from("a");
    hello.mutable_hello()->set_to("b");
    stream->Write(hello);
    stream->WritesDone();
    v1::PeerWelcome welcome;
    while (stream->Read(&welcome)) continue;
    return FromGrpc(stream->Finish());
  };
  EXPECT_TRUE(greet(*Serve("b", Authority().IssueForNode("b"))).ok());
  RpcServerOptions options;
  options.credentials = *Credentials::Load(Authority().Issue("shop", "DNS:shop,IP:127.0.0.1"));
  const ServedNode impostor("b", options);
  const absl::Status status = greet(impostor);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("does not name the host or node"));
}

TEST(Tls, UsesChangedFilesWithoutARestart) {
  const TestAuthority old_authority;
  TlsOptions files = old_authority.IssueForNode("a");
  files.ca = old_authority.Path("trusted.pem");
  std::filesystem::copy(old_authority.ca(), files.ca);
  const auto node = Serve("a", files);
  const TlsOptions client = Authority().IssueForClient("shop");
  ASSERT_FALSE(Ask(*node, client).ok());
  const TlsOptions renewed = Authority().IssueForNode("a");
  const auto replace = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy(renewed.ca, files.ca, replace);
  std::filesystem::copy(renewed.key, files.key, replace);
  std::filesystem::copy(renewed.certificate, files.certificate, replace);
  EXPECT_TRUE(Eventually([&] { return Ask(*node, client).ok(); }));
}

TEST(Tls, SaysWhichFileIsWrong) {
  const TestAuthority other;
  const TlsOptions good = Authority().IssueForNode("a");
  const auto with = [&](std::string TlsOptions::*field, const std::string& path) {
    TlsOptions tls = good;
    tls.*field = path;
    return tls;
  };
  struct Case {
    TlsOptions tls;
    std::string setting;
    std::string says;
  };
  const std::vector<Case> cases = {
      {with(&TlsOptions::ca, "/no/such"), "tls.ca", "cannot be read"},
      {with(&TlsOptions::ca, good.key), "tls.ca", "holds no PEM certificate"},
      {with(&TlsOptions::ca, ""), "tls.ca", "empty"},
      {with(&TlsOptions::ca, other.ca()), "tls.certificate", "is not accepted by"},
      {with(&TlsOptions::key, "/no/such"), "tls.key", "cannot be read"},
      {with(&TlsOptions::key, good.certificate), "tls.key", "holds no PEM key"},
      {with(&TlsOptions::key, Authority().IssueForNode("b").key), "tls.key", "is not the key of"},
      {with(&TlsOptions::key, ""), "tls.key", "empty"},
      {Authority().IssueForNode("b"), "tls.certificate", "DNS:a.node.forebay"},
      {Authority().Issue("late", "DNS:a.node.forebay", -1), "tls.certificate", "expired"},
  };
  for (const Case& one : cases) {
    const absl::Status status = Credentials::Load(one.tls, NodeId("a")).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << one.says;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(one.setting), HasSubstr(one.says)));
  }
}

}  // namespace
}  // namespace forebay
