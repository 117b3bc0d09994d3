// What a drill of rounds prints.
#include "drill/rounds_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

Round RoundOf(int number, FlippedBit flip) {
  Round round{.number = number, .what = absl::StrCat(flip.kind, " of c1")};
  round.flip = std::move(flip);
  return round;
}

TEST(RoundsReportTest, CountsPerKindOfFileWhatBecameOfItsBits) {
  RoundsReport report;
  report.rounds = {RoundOf(1, {.kind = "log", .found = true}),
                   RoundOf(2, {.kind = "OPTIONS", .harmless = "it is in a file that is not read"}),
                   RoundOf(3, {.kind = "log", .harmless = "it was written over unread"}),
                   RoundOf(4, {.kind = "table"})};
  const std::string table = RoundsTable(report);
  EXPECT_THAT(table, ContainsRegex("log +2 +1 +1 +0 +it was written over unread .1."));
  EXPECT_THAT(table, ContainsRegex("OPTIONS +1 +0 +1 +0 +it is in a file that is not read .1."));
  EXPECT_THAT(table, ContainsRegex("table +1 +0 +0 +1"));
  EXPECT_EQ(RoundsJson(report)[0]["flip"]["found"], true);
  EXPECT_EQ(RoundsJson(report)[2]["flip"]["harmless"], "it was written over unread");
}

TEST(RoundsReportTest, SaysNothingOfBitsWhereNoneWereFlipped) {
  RoundsReport report;
  report.rounds = {{.number = 1, .what = "power cut"}};
  EXPECT_THAT(RoundsTable(report), HasSubstr("power cut"));
  EXPECT_THAT(RoundsTable(report), Not(HasSubstr("NOT FOUND")));
  EXPECT_FALSE(RoundsJson(report)[0].contains("flip"));
}

}  // namespace
}  // namespace forebay
