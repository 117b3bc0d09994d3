// The drill itself, small: three node processes, one killed under load. (G1, G3, G4, G5, G7)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

namespace forebay {
namespace {

nlohmann::json Drill(const std::string& options) {
  const std::string json = ::testing::TempDir() + "/drill.json";
  const std::string command = std::string(FOREBAY_PROGRAM) + " drill --events 3000 --rate 750 " +
                              options + " --json " + json;
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  std::ifstream file(json);
  return nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
}

TEST(Drill, LosesAndDoublesNothingWhenAZoneIsKilled) {
  const nlohmann::json result = Drill("--fault kill");
  ASSERT_TRUE(result.is_object());
  EXPECT_EQ(result["sent"], 3000);
  EXPECT_EQ(result["acknowledged"], 3000);
  EXPECT_EQ(result["delivered"], 3000);
  EXPECT_EQ(result["lost"], 0);
  EXPECT_EQ(result["duplicated"], 0);
  EXPECT_EQ(result["out_of_order"], 0);
  EXPECT_TRUE(result["takeover_ms"].is_number());
  EXPECT_TRUE(result["repaired_ms"].is_number());
}

TEST(Drill, LosesAndDoublesNothingWhenAZoneIsCutOff) {
  const nlohmann::json result = Drill("--fault cut --sink files:" + ::testing::TempDir() + "/out");
  ASSERT_TRUE(result.is_object());
  EXPECT_EQ(result["acknowledged"], 3000);
  EXPECT_EQ(result["lost"], 0);
  EXPECT_EQ(result["duplicated"], 0);
  EXPECT_EQ(result["out_of_order"], 0);
}

}  // namespace
}  // namespace forebay
