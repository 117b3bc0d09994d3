#include <gtest/gtest.h>

#include <string>

#include "base/checksum.h"
#include "base/stage_counter.h"
#include "base/status.h"
#include "forebay/errors.h"
#include "forebay/options.h"

namespace forebay {
namespace {

// RFC 3720, appendix B.4.
TEST(Checksum, MatchesTheVectorsOfTheRfc) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
}

TEST(Checksum, OfTwoPartsIsThatOfTheWhole) {
  const std::string text = "the river as it comes";
  for (size_t cut = 0; cut <= text.size(); cut++) {
    EXPECT_EQ(Crc32c(text.substr(cut), Crc32c(text.substr(0, cut))), Crc32c(text));
  }
}

TEST(Errors, CarryTheWaitTheyAskForThroughAddedContext) {
  const absl::Status status =
      WithRetryAfter(absl::ResourceExhaustedError("window full"), absl::Milliseconds(50));
  const absl::Status outer = WithContext(status, "append to ", "web/3");
  EXPECT_EQ(outer.message(), "append to web/3: window full");
  EXPECT_EQ(RetryAfter(outer), absl::Milliseconds(50));
  EXPECT_EQ(RetryAfter(absl::OkStatus()), std::nullopt);
}

TEST(Options, NameTheSettingTheValueAndTheLimit) {
  StreamOptions stream{.name = StreamId("web"), .copies = 3, .ack_copies = 4};
  EXPECT_EQ(stream.Validate().message(),
            "stream 'web': ack_copies is 4, but it must be 1 to copies (3)");
  stream.ack_copies = 2;
  EXPECT_TRUE(stream.Validate().ok());
}

StageStats StatsOf(int blocks, absl::Duration time) {
  StageCounter counter;
  for (int i = 0; i < blocks; i++) counter.Add(time);
  return counter.Read();
}

TEST(StageStats, FindQuantilesWithinAQuarter) {
  StageCounter counter;
  for (int i = 1; i <= 10'000; i++) counter.Add(absl::Microseconds(i));
  const StageStats stats = counter.Read();
  EXPECT_EQ(stats.blocks, 10'000u);
  EXPECT_EQ(stats.Mean(), absl::Microseconds(5000) + absl::Nanoseconds(500));
  for (const double share : {0.01, 0.5, 0.99}) {
    const double found = absl::ToDoubleMicroseconds(stats.Quantile(share));
    EXPECT_GE(found, share * 10'000);
    EXPECT_LE(found, share * 10'000 * 1.25 + 1);
  }
}

TEST(StageStats, TakeTheSmallestAndTheLargest) {
  EXPECT_EQ(StatsOf(1, -absl::Seconds(1)).Quantile(1), absl::Microseconds(1));
  EXPECT_EQ(StatsOf(1, absl::Hours(1)).blocks, 1u);
  EXPECT_EQ(StatsOf(1, absl::Hours(1)).Mean(), absl::Hours(1));
  EXPECT_EQ(StageStats().Quantile(0.5), absl::ZeroDuration());
  EXPECT_EQ(StageStats().Mean(), absl::ZeroDuration());
}

TEST(StageStats, SayWhatCameBetweenTwoOfThemAlsoAfterARestart) {
  StageStats before = StatsOf(2, absl::Milliseconds(1));
  StageStats after = before;
  after += StatsOf(3, absl::Milliseconds(9));
  EXPECT_EQ((after - before).blocks, 3u);
  EXPECT_EQ((after - before).Mean(), absl::Milliseconds(9));
  EXPECT_EQ((before - after).blocks, 2u);
}

}  // namespace
}  // namespace forebay
