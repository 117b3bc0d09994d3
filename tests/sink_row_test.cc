// How the SQL sinks write times.
#include <gtest/gtest.h>

#include <vector>

#include "sinks/row.h"

namespace forebay {
namespace {

TEST(TimeText, IsWhatTheCalendarSaysAlsoBefore1970AndWithinASecond) {
  std::vector<absl::Time> times;
  for (const double seconds : {-9e9, -1.0, 0.0, 1.0, 1.7e9, 9e9}) {
    for (const double nanoseconds : {0.0, 1.0, 1e3, 999'999'999.0}) {
      times.push_back(absl::UnixEpoch() + absl::Seconds(seconds) + absl::Nanoseconds(nanoseconds));
    }
  }
  TimeText nanoseconds(TimeText::Form::kNanoseconds);
  TimeText postgres(TimeText::Form::kPostgres);
  for (const absl::Time time : times) {
    const auto utc = absl::UTCTimeZone();
    EXPECT_EQ(nanoseconds.Of(time), absl::FormatTime("%Y-%m-%dT%H:%M:%E9SZ", time, utc));
    EXPECT_EQ(postgres.Of(time), absl::FormatTime("%Y-%m-%d %H:%M:%E6S+00", time, utc));
  }
}

}  // namespace
}  // namespace forebay
