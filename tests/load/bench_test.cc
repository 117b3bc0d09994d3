// Every phase of `forebay bench` once, small, with real node processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/shell.h"

namespace forebay {
namespace {

using ::testing::HasSubstr;

Ran RunBench(const std::string& options) { return RunShell("$F bench " + options); }

// The measurements of a run that does well.
nlohmann::json Measure(const std::string& options) {
  const std::string path = ::testing::TempDir() + "/bench.json";
  const Ran ran = RunBench("--warm-up 200ms --time 500ms --json " + path + " " + options);
  EXPECT_EQ(ran.code, 0) << ran.out;
  std::ifstream file(path);
  return nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false)["measurements"];
}

TEST(Bench, MeasuresAClosedAndAnOpenLoopAndWhereTheTimeGoes) {
  const nlohmann::json measured =
      Measure("--rate 500 --event-bytes 200:70,1KiB:25,16KiB:5 --keys 100 --key-skew 1.2");
  ASSERT_EQ(measured.size(), 2u);
  EXPECT_EQ(measured[0]["phase"], "closed");
  EXPECT_EQ(measured[1]["phase"], "open");
  for (const nlohmann::json& each : measured) {
    EXPECT_GT(each["acknowledged"], 0);
    EXPECT_EQ(each["failed"], 0);
    EXPECT_GT(each["bytes_written_per_byte"], 0);
    EXPECT_GT(each["largest_partition_share"], 1.0 / 6);
    for (const char* stage : {"batch", "queue", "commit", "mirror", "owner", "ack", "all"}) {
      EXPECT_GE(each["stages"][stage]["mean_ms"], 0) << stage;
    }
    EXPECT_GT(each["stages"]["commit"]["p99_ms"], 0);
  }
}

TEST(Bench, FillsABacklogAndLetsTheSinkCatchUp) {
  const nlohmann::json measured =
      Measure("--phases backlog,catch-up --backlog 4MB --rate 200 --partitions 2 --producers 2");
  ASSERT_EQ(measured.size(), 2u);
  EXPECT_EQ(measured[0]["phase"], "backlog");
  EXPECT_GE(measured[0]["backlog_events"], 10'000);
  EXPECT_GT(measured[0]["memory_mib"]["a1"]["largest"], 1);
  EXPECT_EQ(measured[1]["phase"], "catch-up");
  EXPECT_GE(measured[1]["delivered_events"], measured[0]["backlog_events"].get<int>() - 200);
  EXPECT_TRUE(measured[1]["caught_up"]);
  EXPECT_GT(measured[1]["live_before"]["acknowledged"], 0);
}

TEST(Bench, MeasuresWhatLosingAnOwnerCosts) {
  const nlohmann::json measured =
      Measure("--phases failover --faults kill --rate 300 --partitions 2 --producers 2");
  ASSERT_EQ(measured.size(), 1u);
  EXPECT_EQ(measured[0]["failed"], 0);
  const nlohmann::json& faults = measured[0]["faults"];
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0]["fault"], "kill");
  EXPECT_GE(faults[0]["owned_partitions"], 1);
  EXPECT_GT(faults[0]["partition_ack_gap_ms_max"], 0);
  EXPECT_TRUE(faults[0]["takeover_ms"].is_number());
  EXPECT_TRUE(faults[0]["repaired_ms"].is_number());
}

TEST(Bench, SaysWhatToDoAboutAWrongOption) {
  const std::pair<const char*, const char*> kWrong[] = {
      {"--phases opne", "did you mean 'open'?"},
      {"--phases catch-up", "--phases backlog,catch-up"},
      {"--phases failover --nodes 127.0.0.1:1", "--self-contained"},
      {"--event-bytes 12", "give 100 to 1000000"},
      {"--event-bytes 400:x", "200:70,1024:25,16KiB:5"},
      {"--key-skew 1", "add --keys"},
      {"--backlog 1GB", "add --phases backlog,catch-up"},
      {"--faults kill", "add --phases failover"},
      {"--phases backlog --sink postgres", "sqlite:FILE"},
      {"--phases backlog --sink sqlite:/dev/null", "name a file that is not"},
      {"--partitions 3 --nodes 127.0.0.1:1", "leave it out"},
      {"--stream web", "give their addresses with --nodes"},
  };
  for (const auto& [options, message] : kWrong) {
    const Ran ran = RunBench(options);
    EXPECT_EQ(ran.code, 2) << options;
    EXPECT_THAT(ran.out, HasSubstr(message)) << options;
  }
}

}  // namespace
}  // namespace forebay
