// What the bench and the drill measure with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>

#include "cli/numbers.h"
#include "load/latency_histogram.h"
#include "testbed/event_source.h"
#include "testbed/zipf_keys.h"

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

TEST(ZipfKeys, ComeInProportionToOneOverTheirRank) {
  const ZipfKeys keys(1000, 1);
  EXPECT_NEAR(keys.ShareOf(0), 1 / 7.4855, 0.001);  // the 1,000th harmonic number
  EXPECT_NEAR(keys.ShareOf(0) / keys.ShareOf(9), 10, 0.001);
  std::map<uint64_t, int> drawn;
  for (uint64_t event = 0; event < 100'000; ++event) ++drawn[keys.Of(event)];
  EXPECT_LT(drawn.rbegin()->first, 1000u);
  for (const uint64_t key : {0, 1, 9}) {
    EXPECT_NEAR(drawn[key], 100'000 * keys.ShareOf(key), 500);
  }
  EXPECT_EQ(keys.Of(17), keys.Of(17));
}

TEST(ZipfKeys, ComeEquallyOftenWithoutSkew) {
  const ZipfKeys keys(4, 0);
  for (uint64_t key = 0; key < 4; ++key) EXPECT_NEAR(keys.ShareOf(key), 0.25, 1e-9);
}

TEST(MadeUpEvents, HaveSizesInTheSharesAskedFor) {
  const EventSource source =
      EventSource::MadeUp({.sizes = {{200, 70}, {1024, 25}, {16384, 5}}, .keys = {}});
  EXPECT_NEAR(source.bytes_mean(), 200 * 0.7 + 1024 * 0.25 + 16384 * 0.05, 20);
  int large = 0;
  for (uint64_t i = 0; i < 1000; ++i) large += source.At(i).payload.size() > 10'000 ? 1 : 0;
  EXPECT_EQ(large, 50);
}

TEST(MadeUpEvents, FillNoMoreThanSomeMemory) {
  const EventSource source = EventSource::MadeUp({.sizes = {{1'000'000, 1}}, .keys = {}});
  EXPECT_NE(source.At(0).payload, source.At(1).payload);
  EXPECT_THAT(source.At(0).id, ::testing::IsEmpty());
  EXPECT_NEAR(source.bytes_mean(), 1'000'000, 100);
}

TEST(MadeUpEvents, AreOfRandomBytesIfAskedFor) {
  const auto different_bytes = [](bool incompressible) {
    const EventSource source = EventSource::MadeUp(
        {.sizes = {{100'000, 1}}, .keys = {}, .incompressible = incompressible});
    const std::string payload = source.At(0).payload;
    EXPECT_NEAR(payload.size(), 100'000, 100);
    return std::set<char>(payload.begin(), payload.end()).size();
  };
  EXPECT_EQ(different_bytes(true), 256u);
  EXPECT_LT(different_bytes(false), 100u);
}

TEST(MadeUpEvents, HaveTheKeysAskedForOrNone) {
  const std::vector<SizeShare> sizes = {{400, 1}};
  EXPECT_THAT(EventSource::MadeUp({.sizes = sizes, .keys = {}}).At(0).key,
              ::testing::HasSubstr("visitor-"));
  EXPECT_THAT(EventSource::MadeUp({.sizes = sizes, .keys = 0}).At(0).key, ::testing::IsEmpty());
  const EventSource source = EventSource::MadeUp({.sizes = sizes, .keys = 2});
  std::map<std::string, int> drawn;
  for (uint64_t i = 0; i < 1000; ++i) ++drawn[source.At(i).key];
  EXPECT_EQ(drawn.size(), 2u);
}

TEST(Numbers, AreGrouped) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1'234'567), "1,234,567");
}

}  // namespace
}  // namespace forebay
