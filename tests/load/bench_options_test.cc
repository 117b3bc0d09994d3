// What `forebay bench` makes of its options, and of what it has measured.
#include "load/bench_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "load/bench_stages.h"
#include "load/latency_recovery.h"

namespace forebay {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(BenchOptions, ReadPhasesInTheOrderInWhichTheyRun) {
  EXPECT_THAT(*ParsePhases("open"), ElementsAre(BenchPhase::kOpen));
  EXPECT_THAT(*ParsePhases("catch-up,closed,backlog,closed"),
              ElementsAre(BenchPhase::kClosed, BenchPhase::kBacklog, BenchPhase::kCatchUp));
  EXPECT_THAT(*ParseFaults("restart,kill"), ElementsAre(BenchFault::kKill, BenchFault::kRestart));
}

TEST(BenchOptions, SayWhichPhasesThereAre) {
  EXPECT_THAT(std::string(ParsePhases("closed,opne").status().message()),
              AllOf(HasSubstr("'opne' is no phase; did you mean 'open'?"),
                    HasSubstr("closed,open,backlog,catch-up,failover")));
  EXPECT_THAT(std::string(ParsePhases("").status().message()), HasSubstr("'' is no phase; write"));
  EXPECT_THAT(std::string(ParseFaults("explode").status().message()),
              HasSubstr("kill,freeze,cut,restart"));
}

TEST(BenchOptions, ReadASizeOrAMixOfSizes) {
  EXPECT_THAT(*ParseSizeMix("400"), ElementsAre(SizeShare{.bytes = 400, .weight = 1}));
  EXPECT_THAT(*ParseSizeMix("200:70,1KiB:25,16384:5"),
              ElementsAre(SizeShare{200, 70}, SizeShare{1024, 25}, SizeShare{16384, 5}));
}

TEST(BenchOptions, SayHowAMixOfSizesIsWritten) {
  for (const char* wrong : {"", "200:70,", "200:x", "200:0", "200:1:2", "big", "200:-1"}) {
    const auto mix = ParseSizeMix(wrong);
    ASSERT_FALSE(mix.ok()) << wrong;
    EXPECT_THAT(std::string(mix.status().message()), HasSubstr("200:70,1024:25,16KiB:5")) << wrong;
  }
  for (const char* wrong : {"99", "2000000:1"}) {
    EXPECT_THAT(std::string(ParseSizeMix(wrong).status().message()),
                HasSubstr("give 100 to 1000000"));
  }
}

TEST(BenchOptions, SayWhatDoesNotGoTogether) {
  BenchOptions options;
  EXPECT_TRUE(Check(options).ok());
  options.phases = {BenchPhase::kCatchUp};
  EXPECT_THAT(std::string(Check(options).message()), HasSubstr("--phases backlog,catch-up"));
  options.phases = {BenchPhase::kFailover};
  EXPECT_TRUE(Check(options).ok());
  options.nodes.addresses = {"h:1"};
  EXPECT_THAT(std::string(Check(options).message()), HasSubstr("--self-contained"));
  options = BenchOptions();
  options.events.key_skew = 1;
  EXPECT_THAT(std::string(Check(options).message()), HasSubstr("add --keys"));
  options.events.keys = 10;
  EXPECT_TRUE(Check(options).ok());
  options.sink = "postgres";
  EXPECT_THAT(std::string(Check(options).message()), HasSubstr("sqlite:FILE"));
  options = BenchOptions();
  options.in_flight = 3;
  EXPECT_THAT(std::string(Check(options).message()), HasSubstr("at least one for each"));
}

StageStats Blocks(uint64_t blocks, int mean_ms) {
  return {.blocks = blocks,
          .time = absl::Milliseconds(mean_ms) * static_cast<double>(blocks),
          .histogram = {}};
}

TEST(BenchStages, GiveTheRestToTheWay) {
  StageSnapshot before, after;
  after.until_sealed = Blocks(10, 2);
  after.until_acknowledged = Blocks(10, 20);
  after.owners[OwnerStage::kOwner] = Blocks(10, 7);
  const std::vector<StageRow> rows = StagesBetween(before, after);
  ASSERT_EQ(rows.size(), 7u);
  EXPECT_EQ(rows[0].mean, absl::Milliseconds(2));
  EXPECT_EQ(rows[5].stage, "ack");
  EXPECT_EQ(rows[5].mean, absl::Milliseconds(11));
  EXPECT_EQ(rows[6].mean, absl::Milliseconds(20));
  EXPECT_THAT(StagesBetween(after, after), IsEmpty());
}

const absl::Time kFault = absl::FromUnixSeconds(1000);

// One event every 10 ms from two seconds before the fault to 5 s after it; those sent in the first
// `bad_ms` after it take until then.
DrillLog LogOf(int bad_ms) {
  DrillLog log;
  for (int ms = -2000; ms < 5000; ms += 10) {
    const absl::Time sent = kFault + absl::Milliseconds(ms);
    const bool slow = ms >= 0 && ms < bad_ms;
    const absl::Time at = slow ? kFault + absl::Milliseconds(bad_ms) : sent + absl::Milliseconds(4);
    log.push_back({.id = "e", .sent = sent, .acknowledged = DrillAck{.at = at}});
  }
  return log;
}

LatencyRecovery Recovery(const DrillLog& log) {
  return RecoveryOf(std::vector<DrillLog>{log},
                    {.quiet_until = kFault, .fault = kFault, .until = kFault + absl::Seconds(5)});
}

TEST(LatencyRecovery, FindsWhenAppendsTakeAsLongAsBefore) {
  const LatencyRecovery recovery = Recovery(LogOf(1200));
  EXPECT_EQ(recovery.before_p99_ms, 4);
  EXPECT_EQ(recovery.slowest_ms, 1200);
  EXPECT_EQ(recovery.back_ms, 1200);
}

TEST(LatencyRecovery, IsThereAtOnceWhenNothingShows) { EXPECT_EQ(Recovery(LogOf(0)).back_ms, 0); }

TEST(LatencyRecovery, WantsASecondInARow) {
  DrillLog log = LogOf(200);
  log[2000 / 10 + 70].acknowledged->at += absl::Milliseconds(100);  // sent 700 ms after the fault
  EXPECT_EQ(Recovery(log).back_ms, 800);
}

TEST(LatencyRecovery, NeverComesWhenNothingIsAcknowledged) {
  DrillLog log = LogOf(0);
  for (DrillEvent& event : log) {
    if (event.sent >= kFault) event.acknowledged.reset();
  }
  EXPECT_EQ(Recovery(log).back_ms, std::nullopt);
}

}  // namespace
}  // namespace forebay
