#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/units.h"
#include "node/config.h"

namespace forebay {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kRequired[] =
    "node: a1\nzone: a\ndata_directory: /tmp/a1\nmetadata: sqlite:/tmp/meta.db\n";

// "line:column: message" of every problem.
std::vector<std::string> Problems(const std::string& yaml) {
  std::vector<std::string> out;
  for (const ConfigProblem& problem : ParseConfig(yaml).problems) {
    out.push_back(std::to_string(problem.line) + ":" + std::to_string(problem.column) + ": " +
                  problem.message);
  }
  return out;
}

TEST(Config, DefaultsAsShownAreValidAndAreTheDefaults) {
  const ParsedConfig shown = ParseConfig(DefaultConfig());
  EXPECT_THAT(Problems(DefaultConfig()), IsEmpty());
  const BufferOptions& buffer = shown.config.buffer;
  EXPECT_EQ(buffer.batch.linger, BatchOptions{}.linger);
  EXPECT_EQ(buffer.batch.block_bytes_max, BatchOptions{}.block_bytes_max);
  EXPECT_EQ(buffer.batch.give_up_after, BatchOptions{}.give_up_after);
  EXPECT_EQ(buffer.segment.age_max, SegmentOptions{}.age_max);
  EXPECT_EQ(buffer.liveness.suspect_after, LivenessOptions{}.suspect_after);
  EXPECT_EQ(buffer.memtable_bytes, BufferOptions{}.memtable_bytes);
  ASSERT_EQ(buffer.streams.size(), 1u);
  EXPECT_EQ(buffer.streams[0].partitions, StreamOptions{}.partitions);
  EXPECT_EQ(buffer.streams[0].codec, StreamOptions{}.codec);
  ASSERT_EQ(shown.config.sinks.size(), 1u);
  EXPECT_EQ(shown.config.sinks[0].binding.batch_events_max, SinkBinding{}.batch_events_max);
}

TEST(Config, ReadsEverySection) {
  const ParsedConfig parsed = ParseConfig(std::string(kRequired) + R"(
dial_instead: {b1: "127.0.0.1:9000"}
streams:
  - name: web
    partitions: 12
    codec: lz4
    on_zone_shortfall: accept_degraded
sinks:
  - {name: out, stream: web, url: "files:/tmp/out", batch_bytes_max: 2MiB, batch_wait_max: 5ms}
batch: {linger: 4ms, wait_for_memory: false}
log: {level: debug, format: json}
metrics: {listen: "127.0.0.1:9464"}
memtable_bytes: 32MiB
limits: {connections_max: 500, calls_per_connection_max: 50}
)");
  EXPECT_THAT(parsed.problems, IsEmpty());
  const BufferOptions& buffer = parsed.config.buffer;
  EXPECT_EQ(buffer.node, NodeId("a1"));
  EXPECT_EQ(buffer.dial_instead.at(NodeId("b1")), "127.0.0.1:9000");
  ASSERT_EQ(buffer.streams.size(), 1u);
  EXPECT_EQ(buffer.streams[0].partitions, 12u);
  EXPECT_EQ(buffer.streams[0].codec, Codec::kLz4);
  EXPECT_EQ(buffer.streams[0].on_zone_shortfall, ZoneShortfall::kAcceptDegraded);
  ASSERT_EQ(parsed.config.sinks.size(), 1u);
  EXPECT_EQ(parsed.config.sinks[0].url, "files:/tmp/out");
  EXPECT_EQ(parsed.config.sinks[0].binding.batch_bytes_max, 2u << 20);
  EXPECT_EQ(buffer.batch.linger, absl::Milliseconds(4));
  EXPECT_FALSE(buffer.batch.wait_for_memory);
  EXPECT_EQ(parsed.config.log.level, LogLevel::kDebug);
  EXPECT_EQ(parsed.config.metrics.listen, "127.0.0.1:9464");
  EXPECT_EQ(buffer.memtable_bytes, 32u << 20);
  EXPECT_EQ(buffer.limits.connections_max, 500u);
  EXPECT_EQ(buffer.limits.calls_per_connection_max, 50u);
}

TEST(Config, ReportsEveryMistakeInTheOrderOfTheFile) {
  const std::vector<std::string> problems = Problems(
      "node: A1\n"
      "zone: a\n"
      "data_directory: /tmp/a1\n"
      "metadata: sqlit:/tmp/meta.db\n"
      "lisen: 127.0.0.1:1\n"
      "batch:\n"
      "  linger: 2\n");
  ASSERT_EQ(problems.size(), 4u);
  EXPECT_THAT(problems[0], HasSubstr("1:7: node: 'A1' must be 1 to 64 of"));
  EXPECT_THAT(problems[1], HasSubstr("4:1: metadata: 'sqlit:/tmp/meta.db' must start with "
                                     "sqlite: or etcd:"));
  EXPECT_THAT(problems[1], HasSubstr("did you mean 'sqlite:'?"));
  EXPECT_EQ(problems[2], "5:1: lisen: no such setting; did you mean 'listen'?");
  EXPECT_THAT(problems[3], HasSubstr("7:11: batch.linger: '2' is not a duration; write a number "
                                     "and a unit, as in 2ms"));
}

TEST(Config, RefusesToListenWhereOthersReachItWithoutTls) {
  const auto problems = [](const std::string& listen) {
    return Problems(std::string(kRequired) + "listen: " + listen + "\n");
  };
  for (const char* own : {"127.0.0.1:7400", "127.0.0.2:0", "localhost:7400", "'[::1]:7400'"}) {
    EXPECT_THAT(problems(own), IsEmpty()) << own;
  }
  for (const char* open : {"0.0.0.0:7400", "10.0.0.1:7400", "'[::]:7400'", "node-a:7400"}) {
    EXPECT_THAT(problems(open), Contains(HasSubstr("allow_plaintext: true"))) << open;
    EXPECT_THAT(problems(std::string(open) + "\nallow_plaintext: true"), IsEmpty()) << open;
    EXPECT_THAT(problems(std::string(open) + "\ntls: {certificate: c, key: k, ca: a}"), IsEmpty())
        << open;
  }
}

TEST(Config, ReadsAccessRules) {
  const std::string digest(64, 'a');
  const std::string tls = std::string(kRequired) + "tls: {certificate: c, key: k, ca: a}\n";
  const ParsedConfig parsed =
      ParseConfig(tls + "access: [{name: shop, append: 'web, orders', token_sha256: " + digest +
                  "}, {name: ops, read: '*', admin: '*'}]\n");
  EXPECT_THAT(parsed.problems, IsEmpty());
  const std::vector<AccessRule>& rules = parsed.config.buffer.access;
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_THAT(rules[0].append, ::testing::ElementsAre("web", "orders"));
  EXPECT_EQ(rules[0].token_sha256, digest);
  EXPECT_THAT(rules[1].admin, ::testing::ElementsAre("*"));

  EXPECT_THAT(Problems(std::string(kRequired) + "access: [{name: shop, append: web}]\n"),
              Contains(HasSubstr("without tls")));
  EXPECT_THAT(Problems(tls + "access: [{name: shop, append: Web}]\n"),
              Contains(HasSubstr("access[0]: a stream is 'Web'")));
}

TEST(Config, NeverShowsThePasswordOfASinksUrl) {
  const std::vector<std::string> problems =
      Problems(std::string(kRequired) +
               "streams: [{name: web}]\nsinks: [{name: out, stream: web, url: "
               "'postgers://user:hunter2@localhost/x'}]\n");
  EXPECT_THAT(problems, Contains(HasSubstr("did you mean 'postgres:'?")));
  EXPECT_THAT(problems, Not(Contains(HasSubstr("hunter2"))));
}

// Someone writes the token where its digest belongs.
TEST(Config, NeverShowsWhatStandsInPlaceOfATokensDigest) {
  const std::vector<std::string> problems =
      Problems(std::string(kRequired) +
               "tls: {certificate: c, key: k, ca: a}\naccess: [{name: shop, token_sha256: "
               "my-secret-token}]\n");
  EXPECT_THAT(problems, Contains(HasSubstr("token_sha256 is 15 characters long")));
  EXPECT_THAT(problems, Not(Contains(HasSubstr("my-secret-token"))));
}

TEST(Config, SaysWhichSectionASettingBelongsTo) {
  EXPECT_THAT(Problems(std::string(kRequired) + "linger: 2ms\n"),
              Contains("5:1: linger: no such setting here; it belongs in 'batch'"));
}

TEST(Config, NamesTheNearestChoice) {
  EXPECT_THAT(Problems(std::string(kRequired) + "streams: [{name: web, codec: zst}]\n"),
              Contains(HasSubstr("5:30: streams[0].codec: 'zst' must be one of none | lz4 | zstd; "
                                 "did you mean 'zstd'?")));
}

TEST(Config, SaysWhatIsMissingWithAnExample) {
  EXPECT_THAT(Problems("node: a1\n"), Contains("1:1: zone: is missing; for example 'zone: a'"));
}

TEST(Config, RefusesASettingThatIsThereTwice) {
  EXPECT_THAT(Problems(std::string(kRequired) + "zone: b\n"),
              Contains("5:1: zone: is there twice"));
}

TEST(Config, RefusesSizesAndCountsOutOfRange) {
  const std::vector<std::string> problems =
      Problems(std::string(kRequired) +
               "batch: {block_bytes_max: 1GiB}\nstreams: [{name: web, partitions: 0}]\n");
  EXPECT_THAT(problems, Contains(HasSubstr("'1GiB' is out of range: 1KiB to 4MiB")));
  EXPECT_THAT(problems, Contains(HasSubstr("partitions: '0' must be a whole number, 1 to 65536")));
}

TEST(Config, ChecksSettingsAgainstEachOther) {
  const std::vector<std::string> problems = Problems(std::string(kRequired) + R"(
streams:
  - {name: web, copies: 2, ack_copies: 3, ack_zones: 1}
sinks:
  - {name: out, stream: wep, url: "files:/tmp/out"}
  - {name: out, stream: web, url: "postgress://x"}
liveness: {suspect_after: 200ms}
listen: localhost
)");
  EXPECT_THAT(problems, Contains(HasSubstr("ack_copies: 3 is more than copies (2)")));
  EXPECT_THAT(problems, Contains(HasSubstr("no stream 'wep' in streams; did you mean 'web'?")));
  EXPECT_THAT(problems, Contains(HasSubstr("sink 'out' is there twice")));
  EXPECT_THAT(problems, Contains(HasSubstr("did you mean 'postgres:'?")));
  EXPECT_THAT(problems, Contains(HasSubstr("at least 3 times heartbeat_every")));
  EXPECT_THAT(problems, Contains(HasSubstr("'localhost' must be host:port")));
}

TEST(Config, ReportsBrokenYamlWithItsPlace) {
  EXPECT_THAT(Problems("node: [a1\nzone: b\n"), Contains(HasSubstr("not valid YAML")));
}

TEST(Config, LoadNamesTheFileInEveryLine) {
  const std::string path = ::testing::TempDir() + "/broken-node.yaml";
  std::ofstream(path) << "node: a1\nzone: a\n";
  const absl::Status status = LoadConfig(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path + ":1:1: data_directory: is missing"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\n" + path + ":1:1: metadata: is missing"));
  EXPECT_EQ(LoadConfig("/nonexistent/node.yaml").status().code(), absl::StatusCode::kNotFound);
}

TEST(Units, SizesReadAsTheyAreShown) {
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{1}, uint64_t{1023}, uint64_t{64 << 10},
                               uint64_t{64 << 20}, uint64_t{1} << 40}) {
    EXPECT_EQ(ParseSizeText(SizeText(bytes)).value(), bytes);
  }
  EXPECT_EQ(ParseSizeText("64 MiB").value(), 64u << 20);
  EXPECT_EQ(ParseSizeText("5MB").value(), 5'000'000u);
  EXPECT_FALSE(ParseSizeText("5 parsecs").ok());
  EXPECT_FALSE(ParseSizeText("").ok());
  EXPECT_FALSE(ParseSizeText("18446744073709551615GiB").ok());
}

TEST(Units, NearestGuessesOnlyWhatIsNear) {
  EXPECT_EQ(Nearest("lingr", {"linger", "listen"}), "linger");
  EXPECT_EQ(Nearest("completely-different", {"linger", "listen"}), "");
}

}  // namespace
}  // namespace forebay
