// The program as its users meet it: real nodes, real commands, exit codes and messages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "support/shell.h"
#include "testbed/child_process.h"
#include "testbed/local_ports.h"

namespace forebay {
namespace {

using ::testing::HasSubstr;

TEST(Program, SuggestsTheNearestCommand) {
  const Ran ran = RunShell("$F drll");
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.out, HasSubstr("no command 'drll'; did you mean 'drill'?"));
}

TEST(Program, NamesACommandThatIsNotThere) {
  const Ran ran = RunShell("$F frobnicate");
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.out, HasSubstr("no command 'frobnicate'; 'forebay --help' lists them"));
}

TEST(Program, ExplainsEveryCommand) {
  for (const char* command :
       {"node", "config check", "config show", "append", "tail", "status", "admin take-over",
        "admin move", "admin drain-node", "admin create-stream", "admin check",
        "admin evacuate-zone", "admin replace-node", "dead-letter list", "dead-letter replay",
        "drill", "bench"}) {
    const Ran ran = RunShell(absl::StrCat("$F ", command, " --help"));
    EXPECT_EQ(ran.code, 0) << command;
    EXPECT_THAT(ran.out, HasSubstr("Example: ")) << command;
  }
}

TEST(Program, NamesAPartThatIsNotInstalled) {
  const std::string folder = ::testing::TempDir() + "alone";
  const Ran ran = RunShell("mkdir -p " + folder + "; cp $F " + folder + "; PATH=/nowhere " +
                           folder + "/forebay drill --chaos");
  EXPECT_EQ(ran.code, 3);
  EXPECT_THAT(ran.out, HasSubstr("'drill' is not installed: there is no program forebay-drill in " +
                                 folder));
  std::filesystem::remove_all(folder);
}

TEST(Program, RunsAPartWithItsArgumentsAndAnswersItsExitCode) {
  const Ran wrong = RunShell("$F drill --events 10 --chaos");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.out, HasSubstr("--events excludes --chaos"));
  EXPECT_THAT(RunShell("$F --help").out, HasSubstr("drill"));
}

TEST(Program, ChecksAConfigurationAndNamesEveryMistake) {
  const std::string path = ::testing::TempDir() + "/cli-broken.yaml";
  std::ofstream(path) << "node: a1\nzoen: a\nmetadata: sqlite:/tmp/x\n";
  const Ran check = RunShell("$F config check " + path);
  EXPECT_EQ(check.code, 2);
  EXPECT_THAT(check.out, HasSubstr(path + ":2:1: zoen: no such setting; did you mean 'zone'?"));
  EXPECT_THAT(check.out, HasSubstr("data_directory: is missing"));
  EXPECT_EQ(RunShell("$F node --config " + path).code, 2);
  EXPECT_EQ(RunShell("$F config show --defaults > " + path + " && $F config check " + path).code,
            0);
}

TEST(Program, SaysThatNoNodeAnswers) {
  const Ran ran = RunShell("$F status --nodes 127.0.0.1:1");
  EXPECT_EQ(ran.code, 3);
  EXPECT_THAT(ran.out, HasSubstr("127.0.0.1:1"));
}

// Three nodes in three zones, started once for all tests.
class ClusterTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = absl::StrCat(::testing::TempDir(), "/forebay-cli-", ::getpid());
    std::filesystem::create_directories(directory_);
    LocalPorts ports;
    std::vector<std::string> addresses;
    for (const std::string zone : {"a", "b", "c"}) {
      const std::string address = absl::StrCat("127.0.0.1:", ports.Take().value());
      addresses.push_back(address);
      const std::string config = absl::StrCat(directory_, "/", zone, ".yaml");
      std::ofstream(config) << "node: " << zone << "1\nzone: " << zone
                            << "\ndata_directory: " << directory_ << "/" << zone
                            << "\nmetadata: sqlite:" << directory_
                            << "/metadata.db\nlisten: " << address
                            << "\nstreams:\n  - {name: web, partitions: 3}\n"
                            << "sinks:\n  - {name: out, stream: web, url: \"sqlite:" << directory_
                            << "/out.db\", keep_after_delivery: 1h}\n";
      auto node = ChildProcess::Start({.command = {FOREBAY_PROGRAM, "node", "--config", config},
                                       .log = absl::StrCat(directory_, "/", zone, ".log"),
                                       .talk = false});
      ASSERT_TRUE(node.ok()) << node.status();
      nodes_.push_back(*std::move(node));
    }
    ::setenv("FOREBAY_NODES", absl::StrJoin(addresses, ",").c_str(), 1);
    ASSERT_EQ(Until("$F status > /dev/null && [ $($F status | grep -c ' up ') = 3 ]").code, 0);
  }
  static void TearDownTestSuite() {
    nodes_.clear();
    ::unsetenv("FOREBAY_NODES");
    std::filesystem::remove_all(directory_);
  }

  // Runs SQL on the sink's file and returns the first value.
  static std::string Sql(const std::string& sql) {
    sqlite3* database = nullptr;
    sqlite3_open((directory_ + "/out.db").c_str(), &database);
    sqlite3_busy_timeout(database, 30'000);
    std::string value;
    char* error = nullptr;
    sqlite3_exec(
        database, sql.c_str(),
        [](void* into, int, char** values, char**) {
          *static_cast<std::string*>(into) = values[0];
          return 0;
        },
        &value, &error);
    EXPECT_EQ(error, nullptr) << error;
    sqlite3_free(error);
    sqlite3_close(database);
    return value;
  }

  static std::string OwnerOfWeb0() {
    const auto json = nlohmann::json::parse(RunShell("$F status --json").out);
    for (const auto& partition : json["partitions"]) {
      if (partition["stream"] == "web" && partition["partition"] == 0) return partition["owner"];
    }
    return "";
  }

  // Appends an event and waits until the sink has it.
  static void AppendAndAwait(const std::string& id, const std::string& key) {
    EXPECT_EQ(RunShell(absl::StrCat("echo '{\"id\":\"", id, "\",\"key\":\"", key,
                                    "\",\"payload\":1}' | $F append"))
                  .code,
              0);
    EXPECT_EQ(Until(absl::StrCat("$F status --json | tr -d ' \\n' | grep -vq "
                                 "'\"lag_events\":[1-9]'"))
                  .code,
              0);
  }

  static std::string directory_;
  static std::vector<std::unique_ptr<ChildProcess>> nodes_;
};
std::string ClusterTest::directory_;
std::vector<std::unique_ptr<ChildProcess>> ClusterTest::nodes_;

TEST_F(ClusterTest, AppendsAndTailsWhatWasAppended) {
  const Ran append = RunShell(
      R"(printf '%s\n' '{"id":"t1","key":"k","payload":{"n":1}}' '{"id":"t2","key":"k","payload":{"n":2}}' | $F append --stream web)");
  EXPECT_EQ(append.code, 0) << append.out;
  EXPECT_THAT(append.out, HasSubstr("sent 2, acknowledged 2"));
  const Ran tail = RunShell("$F tail --stream web | grep '\"id\":\"t'");
  EXPECT_THAT(tail.out, HasSubstr(R"({"id":"t1","key":"k")"));
  EXPECT_LT(tail.out.find("\"t1\""), tail.out.find("\"t2\""));
}

TEST_F(ClusterTest, ReportsABadLineWithItsNumberAndGoesOn) {
  const std::string lines = R"(printf '%s\n' '{"payload":1}' '{bad' '{"payload":2}')";
  const Ran lenient = RunShell(lines + " | $F append");
  EXPECT_EQ(lenient.code, 1);
  EXPECT_THAT(lenient.out, HasSubstr("line 2: "));
  EXPECT_THAT(lenient.out, HasSubstr("sent 2, acknowledged 2, bad lines 1"));
  const Ran strict = RunShell(lines + " | $F append --strict");
  EXPECT_EQ(strict.code, 1);
  EXPECT_THAT(strict.out, HasSubstr("sent 1, acknowledged 1, bad lines 1"));
}

// A program that knows only the .proto files. (Debian's Python: its packages hold grpc.)
TEST_F(ClusterTest, IsSpokenToFromPython) {
  const Ran ran = RunShell("/usr/bin/python3 " FOREBAY_SOURCE_DIR
                           "/examples/append.py ${FOREBAY_NODES%%,*} web");
  EXPECT_EQ(ran.code, 0) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("in 2 zones"));
  EXPECT_THAT(ran.out, HasSubstr(R"({"page": 2})"));
}

TEST_F(ClusterTest, NamesTheNearestStream) {
  const Ran ran = RunShell("echo '{\"payload\":1}' | $F append --stream wbe");
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.out, HasSubstr("no stream 'wbe'; did you mean 'web'?"));
}

TEST_F(ClusterTest, ShowsItsStatusAsTablesAndAsJson) {
  const Ran tables = RunShell("$F status");
  EXPECT_EQ(tables.code, 0) << tables.out;
  EXPECT_THAT(tables.out, HasSubstr("under-replicated: 0"));
  const auto json = nlohmann::json::parse(RunShell("$F status --json").out);
  EXPECT_EQ(json["nodes"].size(), 3u);
  EXPECT_EQ(json["under_replicated"], 0);
  EXPECT_TRUE(json["partitions"][0]["owner_answers"]);
}

TEST_F(ClusterTest, MovesAPartition) {
  const std::string before = OwnerOfWeb0();
  const std::string to = before == "b1" ? "c1" : "b1";
  const Ran move = RunShell("$F admin move web 0 --to " + to);
  EXPECT_EQ(move.code, 0) << move.out;
  EXPECT_EQ(Until("$F status | grep '^web/0 *" + to + " '").code, 0) << RunShell("$F status").out;
  EXPECT_EQ(OwnerOfWeb0(), to);
  const Ran again = RunShell("$F admin move web 0 --to " + to);
  EXPECT_EQ(again.code, 0) << again.out;
  EXPECT_THAT(again.out, HasSubstr(to + " owns it"));
  EXPECT_EQ(RunShell("$F admin move web 7").code, 2);
}

TEST_F(ClusterTest, SaysWhetherANodeMayBeTakenDown) {
  const Ran safe = RunShell("$F admin check node b1 --wait 30s");
  EXPECT_EQ(safe.code, 0) << safe.out;
  EXPECT_THAT(safe.out, HasSubstr("safe: node b1 can be taken down now"));
  const auto json = nlohmann::json::parse(RunShell("$F admin check zone a --wait 30s --json").out);
  EXPECT_TRUE(json["safe"]);
  EXPECT_EQ(json["nodes"][0], "a1");
  const Ran unknown = RunShell("$F admin check zone d");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.out, HasSubstr("there is no zone 'd'; there are a, b, c"));
  EXPECT_EQ(RunShell("$F admin check node a1 --nodes 127.0.0.1:1").code, 3);
}

TEST_F(ClusterTest, EvacuatesAZoneAndTakesItBack) {
  const Ran evacuated = RunShell("$F admin evacuate-zone c --limit 60s");
  EXPECT_EQ(evacuated.code, 0) << evacuated.out << RunShell("$F status --json").out;
  EXPECT_THAT(evacuated.out, HasSubstr("nothing is left: it is safe to stop zone c"));
  EXPECT_THAT(RunShell("$F status").out, HasSubstr("up, leaving"));
  const Ran second = RunShell("$F admin evacuate-zone b");
  EXPECT_EQ(second.code, 1);
  EXPECT_THAT(second.out, HasSubstr("cannot hold 2 copies in 2 zones"));
  EXPECT_EQ(RunShell("$F admin check zone b").code, 1);
  EXPECT_EQ(RunShell("$F admin replace-node a1 --with c1").code, 1);
  EXPECT_EQ(RunShell("$F admin replace-node a7").code, 2);
  EXPECT_EQ(RunShell("$F admin evacuate-zone c --cancel").code, 0);
  EXPECT_EQ(Until("$F status > /dev/null").code, 0) << RunShell("$F status").out;
  EXPECT_EQ(RunShell("$F admin check zone b --wait 30s").code, 0);
}

TEST_F(ClusterTest, SetsAPoisonEventAsideAndReplaysItOnce) {
  AppendAndAwait("p0", "poison");
  Sql("CREATE TRIGGER t BEFORE INSERT ON events WHEN NEW.key = 'poison' "
      "BEGIN SELECT RAISE(ABORT, 'no poison here'); END");
  // Whoever may append there may append anything.
  EXPECT_EQ(RunShell(R"(echo '{"type":"forebay.dead-letter","payload":{}}' | $F append --stream )"
                     "web.dead-letter")
                .code,
            0);
  AppendAndAwait("p1", "poison");
  EXPECT_EQ(Until("$F dead-letter list | grep -q 'no poison here'").code, 0);
  EXPECT_THAT(RunShell("$F dead-letter list").out,
              HasSubstr("foreign, passed over: not a dead letter: it holds no event"));
  Sql("DROP TRIGGER t");
  for (int i = 0; i < 2; ++i) {
    const Ran replay = RunShell("$F dead-letter replay");
    EXPECT_EQ(replay.code, 0) << replay.out;
    EXPECT_THAT(replay.out, HasSubstr("1 other events, which were passed over"));
    EXPECT_THAT(replay.out, HasSubstr("1 dead letters replayed"));
  }
  AppendAndAwait("p2", "poison");  // behind both replays in the same partition
  EXPECT_EQ(Sql("SELECT count(*) FROM events WHERE id = 'p2'"), "1");
  EXPECT_EQ(Sql("SELECT count(*) FROM events WHERE id = 'p1'"), "1");
}

// The last one: it stops a node.
TEST_F(ClusterTest, StopsGracefullyAndLeavesItsPartitionsToOthers) {
  nodes_.back()->Signal(SIGTERM);
  EXPECT_TRUE(nodes_.back()->WaitForEnd(absl::Seconds(30)));
  EXPECT_EQ(nodes_.back()->HowItEnded(), "exit code 0");
  EXPECT_EQ(RunShell("echo '{\"payload\":1}' | $F append").code, 0);
  const Ran check = Until("$F admin check node b1 | grep 'node c1 in zone c does not answer'");
  EXPECT_EQ(check.code, 0) << RunShell("$F admin check node b1").out;
  EXPECT_EQ(RunShell("$F admin check node b1").code, 1);
}

}  // namespace
}  // namespace forebay
