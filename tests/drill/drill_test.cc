// The drill itself, small: three node processes, one killed under load. (G1, G3, G4, G5, G7)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

namespace forebay {
namespace {

nlohmann::json RunDrill(const std::string& options) {
  const std::string json = ::testing::TempDir() + "/drill.json";
  const std::string command =
      std::string(FOREBAY_PROGRAM) + " drill " + options + " --json " + json;
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  std::ifstream file(json);
  return nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
}

nlohmann::json Drill(const std::string& options) {
  return RunDrill("--events 3000 --rate 750 " + options);
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

TEST(Drill, LosesAndDoublesNothingWhenAZoneIsCutOffUnderTls) {
  const nlohmann::json result =
      Drill("--fault cut --tls --sink files:" + ::testing::TempDir() + "/out");
  ASSERT_TRUE(result.is_object());
  EXPECT_EQ(result["tls"], true);
  EXPECT_EQ(result["acknowledged"], 3000);
  EXPECT_EQ(result["lost"], 0);
  EXPECT_EQ(result["duplicated"], 0);
  EXPECT_EQ(result["out_of_order"], 0);
}

// Short; scripts/nightly has long ones.
TEST(Drill, LosesAndDoublesNothingWhileFaultAfterFaultHits) {
  const std::string picture = ::testing::TempDir() + "/drill.svg";
  const nlohmann::json result =
      RunDrill("--chaos --minutes 0.2 --seed 14 --rate 500 --timeline " + picture);
  ASSERT_TRUE(result.is_object());
  EXPECT_EQ(result["seed"], 14);
  EXPECT_EQ(result["acknowledged"], 6000);
  EXPECT_EQ(result["lost"], 0);
  EXPECT_EQ(result["duplicated"], 0);
  EXPECT_EQ(result["out_of_order"], 0);
  EXPECT_EQ(result["fully_replicated"], true);
  EXPECT_GE(result["faults"].size(), 2u);
  EXPECT_GT(result["levels"]["memory MiB"]["last_quarter"], 1);
  std::ifstream svg(picture);
  std::string first_line;
  std::getline(svg, first_line);
  EXPECT_THAT(first_line, ::testing::StartsWith("<svg "));
}

}  // namespace
}  // namespace forebay
