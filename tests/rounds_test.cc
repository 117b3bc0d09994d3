// Rounds of one kind of fault on real nodes, few of them; docs/GUARANTEES.md has what 20 came to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

using ::testing::HasSubstr;

struct Ran {
  int code = -1;
  std::string errors;
  nlohmann::json result;
};

Ran RunDrill(const std::string& options) {
  const std::string json = ::testing::TempDir() + "/rounds.json";
  const std::string errors = ::testing::TempDir() + "/rounds.errors";
  const std::string command =
      absl::StrCat(FOREBAY_PROGRAM, " drill ", options, " --json ", json, " 2>", errors);
  const int status = std::system(command.c_str());
  std::stringstream text;
  text << std::ifstream(errors).rdbuf();
  std::ifstream file(json);
  return {.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
          .errors = text.str(),
          .result = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false)};
}

void ExpectNothingLost(const Ran& ran, size_t rounds) {
  EXPECT_EQ(ran.code, 0) << ran.errors;
  ASSERT_TRUE(ran.result.is_object()) << ran.errors;
  EXPECT_GT(ran.result["acknowledged"], 0);
  EXPECT_EQ(ran.result["acknowledged"], ran.result["sent"]);
  EXPECT_EQ(ran.result["lost"], 0);
  EXPECT_EQ(ran.result["duplicated"], 0);
  EXPECT_EQ(ran.result["out_of_order"], 0);
  EXPECT_EQ(ran.result["fully_replicated"], true);
  ASSERT_EQ(ran.result["rounds"].size(), rounds);
  for (const auto& round : ran.result["rounds"]) {
    EXPECT_GT(round["acknowledged"], 0) << round;
    EXPECT_TRUE(round["first_ack_ms"].is_number()) << round;
    EXPECT_TRUE(round["replicated_ms"].is_number()) << round;
  }
}

TEST(Rounds, PowerCutsOfAllNodesLoseNothingAcknowledged) {
  const Ran ran = RunDrill("--rounds power-cut --times 1 --seed 3");
  if (ran.code == 3 && ran.errors.find("power cannot be cut here") != std::string::npos) {
    GTEST_SKIP() << ran.errors;
  }
  ExpectNothingLost(ran, 1);
}

TEST(Rounds, MembershipChangesDuringCutsLoseNothingAcknowledged) {
  ExpectNothingLost(RunDrill("--rounds membership --times 2 --seed 1"), 2);
}

TEST(Rounds, FlippedBitsOnOneNodeLoseNothingAcknowledged) {
  ExpectNothingLost(RunDrill("--rounds flip-bits --times 1 --seed 1"), 1);
}

TEST(Rounds, OptionsThatDoNotFitAreRefusedWithWhatToDo) {
  const Ran events = RunDrill("--rounds power-cut --events 5");
  EXPECT_EQ(events.code, 2);
  EXPECT_THAT(events.errors, HasSubstr("--rate"));
  const Ran chaos = RunDrill("--rounds power-cut --chaos");
  EXPECT_EQ(chaos.code, 2);
  EXPECT_THAT(chaos.errors, HasSubstr("one of them"));
  const Ran fault = RunDrill("--rounds power-cut --fault cut");
  EXPECT_EQ(fault.code, 2);
  EXPECT_THAT(fault.errors, HasSubstr("--fault"));
  const Ran zones = RunDrill("--rounds membership --zones 2");
  EXPECT_EQ(zones.code, 2);
  EXPECT_THAT(zones.errors, HasSubstr("--zones 3"));
  const Ran kind = RunDrill("--rounds nonsense");
  EXPECT_EQ(kind.code, 2);
  EXPECT_THAT(kind.errors, HasSubstr("power-cut"));
  const Ran seed = RunDrill("--seed 5");
  EXPECT_EQ(seed.code, 2);
  EXPECT_THAT(seed.errors, HasSubstr("--rounds KIND"));
}

}  // namespace
}  // namespace forebay
