// What the bench and the drill measure with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "node/event_source.h"
#include "node/latency_histogram.h"
#include "node/numbers.h"

namespace forebay {
namespace {

TEST(LatencyHistogram, FindsQuantilesWithinOneSixtyFourth) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 100'000; ++i) histogram.Add(absl::Microseconds(i));
  EXPECT_EQ(histogram.count(), 100'000u);
  for (const double share : {0.5, 0.99, 0.999}) {
    const double found = absl::ToDoubleMicroseconds(histogram.Quantile(share));
    EXPECT_GE(found, share * 100'000);
    EXPECT_LE(found, share * 100'000 * (1 + 1.0 / 64));
  }
  EXPECT_EQ(histogram.Quantile(1), absl::Microseconds(100'000));
  EXPECT_EQ(histogram.max(), absl::Microseconds(100'000));
}

TEST(LatencyHistogram, TakesTheSmallestAndTheLargest) {
  LatencyHistogram histogram;
  histogram.Add(-absl::Seconds(1));
  histogram.Add(absl::Hours(100));
  EXPECT_EQ(histogram.Quantile(0.5), absl::ZeroDuration());
  EXPECT_EQ(histogram.Quantile(1), absl::Hours(100));
}

TEST(LatencyHistogram, AddsUp) {
  LatencyHistogram one, other;
  one.Add(absl::Milliseconds(1));
  other.Add(absl::Milliseconds(3));
  one.Add(other);
  EXPECT_EQ(one.count(), 2u);
  EXPECT_EQ(one.max(), absl::Milliseconds(3));
}

TEST(LatencyHistogram, IsZeroWhenEmpty) {
  EXPECT_EQ(LatencyHistogram().Quantile(0.99), absl::ZeroDuration());
}

TEST(EventSource, RepeatsAFileWithFreshIds) {
  const std::string path = ::testing::TempDir() + "/source.ndjson";
  std::ofstream(path) << "{\"id\":\"a\",\"payload\":1}\n{\"id\":\"a\",\"payload\":2}\n"
                         "{\"payload\":3}\n";
  const auto source = EventSource::FromFile(path);
  ASSERT_TRUE(source.ok()) << source.status();
  std::set<std::string> ids;
  for (uint64_t i = 0; i < 9; ++i) ids.insert(source->At(i).id);
  EXPECT_EQ(ids.size(), 9u);
  EXPECT_EQ(source->At(0).id, "a");
  EXPECT_EQ(source->At(3).payload, "1");
  EXPECT_EQ(source->At(5).id, source->At(5).id);
}

TEST(EventSource, RefusesABadFile) {
  const std::string path = ::testing::TempDir() + "/bad-source.ndjson";
  std::ofstream(path) << "{\"payload\":1}\nnonsense\n";
  EXPECT_THAT(EventSource::FromFile(path).status().ToString(), ::testing::HasSubstr("line 2"));
  std::ofstream(path) << "\n";
  EXPECT_FALSE(EventSource::FromFile(path).ok());
  EXPECT_FALSE(EventSource::FromFile("/nonexistent").ok());
}

TEST(EventSource, MakesUpEventsOfAboutTheSizeAskedFor) {
  const EventSource source = EventSource::MadeUp(330);
  EXPECT_NEAR(source.bytes_mean(), 400, 20);
}

TEST(Numbers, AreGrouped) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1'234'567), "1,234,567");
}

}  // namespace
}  // namespace forebay
