// The picture of a chaos drill: a document of its own that shows every fault.
#include "drill/drill_timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

namespace forebay {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kStart = absl::FromUnixSeconds(1'000'000);

ChaosRecord Fault(ChaosKind kind, const std::string& target, int from) {
  ChaosFault fault{.kind = kind, .target = target, .zone = {}, .hold = absl::Seconds(4)};
  if (target != "all" && target != "sink") fault.zone = ZoneId(target.substr(0, 1));
  return {.span = {.fault = fault,
                   .target = target,
                   .began = absl::Seconds(from),
                   .ended = absl::Seconds(from + 4),
                   .recovered = absl::Seconds(1)},
          .gaps = {.producer_ms = 120, .partition_ms = 800}};
}

DrillOptions Options() {
  DrillOptions options;
  options.chaos = ChaosOptions{.length = absl::Seconds(30), .seed = 77};
  return options;
}

DrillReport Report() {
  DrillReport report;
  report.seconds = 30;
  report.verdict.sent = report.verdict.acknowledged = 30'000;
  report.chaos =
      ChaosReport{.faults = {Fault(ChaosKind::kKill, "a1", 2), Fault(ChaosKind::kCut, "a", 3),
                             Fault(ChaosKind::kPowerCutAll, "all", 10),
                             Fault(ChaosKind::kBreakSink, "sink", 12)},
                  .samples = {},
                  .acknowledged = std::vector<double>(30, 1'000),
                  .started = kStart,
                  .levels = {},
                  .left_out = {}};
  for (int i = 0; i < 30; ++i) {
    report.chaos->samples.push_back(
        {.at = kStart + absl::Seconds(i), .under_replicated = i % 5, .lag_events = 100});
  }
  return report;
}

int Count(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  return static_cast<int>(
      std::distance(std::sregex_iterator(text.begin(), text.end(), regex), std::sregex_iterator()));
}

TEST(DrillTimeline, HasALaneForEachZoneAndTheSink) {
  const std::string svg = DrillTimeline(Options(), Report());
  for (const char* lane : {">zone a<", ">zone b<", ">zone c<", ">sink<"}) {
    EXPECT_THAT(svg, HasSubstr(lane));
  }
}

TEST(DrillTimeline, TellsOfEveryFaultUnderThePointer) {
  const std::string svg = DrillTimeline(Options(), Report());
  EXPECT_EQ(Count(svg, "<title>"), 4);
  EXPECT_THAT(svg, HasSubstr("<title>kill a1\nfrom 2.0 s to 6.0 s\nlongest time without an "
                             "acknowledgement: 120 ms (a producer), 800 ms (a partition)\n"
                             "recovered 1.0 s later</title>"));
}

TEST(DrillTimeline, SaysTheVerdict) {
  EXPECT_THAT(DrillTimeline(Options(), Report()),
              HasSubstr("lost 0 · duplicated 0 · out of order 0 · fully replicated at the end"));
  DrillReport bad = Report();
  bad.verdict.lost = 12;
  bad.repaired = false;
  EXPECT_THAT(DrillTimeline(Options(), bad), HasSubstr("lost 12 "));
  EXPECT_THAT(DrillTimeline(Options(), bad), HasSubstr("NOT fully replicated"));
}

TEST(DrillTimeline, IsWellFormedAndNeedsNothingElse) {
  const std::string svg = DrillTimeline(Options(), Report());
  for (const char* tag : {"svg", "g", "text", "title"}) {
    EXPECT_EQ(Count(svg, std::string("<") + tag + "[ >]"),
              Count(svg, std::string("</") + tag + ">"))
        << tag;
  }
  EXPECT_EQ(Count(svg, "https?://"), 1);  // the name of the format
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(DrillTimeline, DrawsADrillInWhichNothingHappened) {
  DrillReport report = Report();
  report.chaos = ChaosReport{};
  EXPECT_THAT(DrillTimeline(Options(), report), HasSubstr("0 faults"));
}

}  // namespace
}  // namespace forebay
