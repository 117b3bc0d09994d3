// Rounds of one kind of fault on real nodes, few of them; docs/GUARANTEES.md has what 20 came to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

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
  const Ran ran = RunDrill("--rounds flip-bits --times 1 --seed 1");
  ExpectNothingLost(ran, 1);
  for (const auto& round : ran.result["rounds"]) {
    const auto& flip = round["flip"];
    EXPECT_TRUE(flip["found"] == true || flip["harmless"] != "") << round;
  }
}

TEST(Rounds, OptionsThatDoNotFitAreRefusedWithWhatToDo) {
  const std::pair<const char*, const char*> refused[] = {
      {"--rounds power-cut --events 5", "--rate"},
      {"--rounds power-cut --chaos", "one of them"},
      {"--rounds power-cut --fault cut", "--fault"},
      {"--rounds membership --zones 2", "--zones 3"},
      {"--rounds nonsense", "power-cut"},
      {"--seed 5", "--rounds KIND"},
  };
  for (const auto& [options, what_to_do] : refused) {
    const Ran ran = RunDrill(options);
    EXPECT_EQ(ran.code, 2) << options;
    EXPECT_THAT(ran.errors, HasSubstr(what_to_do)) << options;
  }
}

}  // namespace
}  // namespace forebay
