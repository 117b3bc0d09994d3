// The secrets of a running node (a token, its digest, the password of a sink) are in nothing that
// the node or the program says, whether all goes well or not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "support/shell.h"
#include "support/test_certificates.h"
#include "testbed/child_process.h"
#include "testbed/local_ports.h"

namespace forebay {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kPassword[] = "hunter2-hunter2";
constexpr char kToken[] = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
constexpr char kDigest[] = "a1bf4dc2c0cea821798c38e16fcc1667d6f0504afa821b181672035fc5967890";
constexpr char kWrongToken[] = "ffeeddccbbaa99887766554433221100";

TEST(Secrets, AreInNothingThatIsSaid) {
  const TemporaryFolder folder;
  const TestAuthority authority;
  const TlsOptions tls = authority.IssueForNode("a1");
  LocalPorts ports;
  const std::string address = absl::StrCat("127.0.0.1:", ports.Take().value());
  const std::string metrics = absl::StrCat("127.0.0.1:", ports.Take().value());
  const auto path = [&](const std::string& name) { return folder.path() + "/" + name; };
  // Nobody listens at port 1: the drain fails, again and again, and says so.
  std::ofstream(path("node.yaml"))
      << "node: a1\nzone: a\ndata_directory: " << path("data")
      << "\nmetadata: sqlite:" << path("metadata.db") << "\nlisten: " << address
      << "\nmetrics: {listen: \"" << metrics << "\"}\ntls: {certificate: " << tls.certificate
      << ", key: " << tls.key << ", ca: " << tls.ca
      << "}\naccess:\n  - {name: shop, append: web, read: web, admin: true, token_sha256: "
      << kDigest
      << "}\nstreams:\n  - {name: web, partitions: 1, copies: 1, ack_copies: 1, ack_zones: 1}\n"
      << "sinks:\n  - {name: out, stream: web, url: \"postgres://me:" << kPassword
      << "@127.0.0.1:1/db\"}\n";
  std::ofstream(path("token")) << kToken << "\n";
  std::ofstream(path("wrong")) << kWrongToken << "\n";
  const auto node = ChildProcess::Start(
      {.command = {FOREBAY_PROGRAM, "node", "--config", path("node.yaml")}, .log = path("log")});
  ASSERT_TRUE(node.ok()) << node.status();
  const std::string at = absl::StrCat(" --nodes ", address, " --tls-ca ", tls.ca, " --token-file ");
  const std::string right = at + path("token"), wrong = at + path("wrong");
  ASSERT_EQ(Until("$F status" + right + " | grep -q ' up '").code, 0);

  std::string said;
  const auto say = [&](const std::string& line, int code, const std::string& expected) {
    const Ran ran = RunShell(line);
    EXPECT_EQ(ran.code, code) << line << "\n" << ran.out;
    EXPECT_THAT(ran.out, HasSubstr(expected)) << line;
    absl::StrAppend(&said, ran.out);
  };
  const std::string append = "echo '{\"payload\":1}' | $F append --stream web --give-up-after 1s";
  say(append + right, 0, "acknowledged 1");
  say(append + wrong, 1, "token");
  EXPECT_EQ(Until("$F status --json" + right + " | grep -q '\"lag_events\": *1'").code, 0);
  say("$F status" + right, 0, "out");
  say("$F status --json" + right, 0, "last_error");
  say("$F status" + wrong, 1, "token");
  say("$F admin check node a1" + right, 1, "web/0");
  say("$F config check " + path("node.yaml"), 0, "");
  say("/usr/bin/python3 -c 'import urllib.request as r; print(r.urlopen(\"http://" + metrics +
          "/metrics\").read().decode())'",
      0, "forebay_");
  (*node)->Signal(SIGTERM);
  EXPECT_TRUE((*node)->WaitForEnd(absl::Seconds(30)));
  std::ostringstream log;
  log << std::ifstream(path("log")).rdbuf();
  EXPECT_THAT(log.str(), HasSubstr("sink 'out' of web/0"));
  absl::StrAppend(&said, log.str());
  for (const char* secret : {kPassword, kToken, kDigest, kWrongToken}) {
    EXPECT_THAT(said, Not(HasSubstr(secret)));
  }
}

}  // namespace
}  // namespace forebay
