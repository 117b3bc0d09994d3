// What the nodes of a drill take, and whether it rises.
#include "testbed/cluster_levels.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

TEST(ClusterLevels, SeeWhatThisProcessTakes) {
  const std::string directory = absl::StrCat(::testing::TempDir(), "/levels-", ::getpid());
  std::filesystem::create_directories(directory + "/below");
  std::ofstream(directory + "/below/file") << std::string(3 << 20, 'x');
  const NodeLevels before = LevelsOf(::getpid(), directory);
  EXPECT_GT(before[0], 1);
  EXPECT_GE(before[1], 1);
  EXPECT_EQ(before[3], 3);
  const int descriptor = ::open("/dev/null", O_RDONLY);
  ASSERT_GE(descriptor, 0);
  EXPECT_EQ(LevelsOf(::getpid(), directory)[2], before[2] + 1);
  ::close(descriptor);
  std::filesystem::remove_all(directory);
}

TEST(ClusterLevels, CompareTheSecondQuarterWithTheLast) {
  ClusterLevels levels;
  for (int second = 0; second <= 100; ++second) {
    const double leaking = second;
    // One node does not run.
    levels.Note(absl::Seconds(second), {{100, 30, leaking, 5}, {}, {200, 30, leaking, 5}});
  }
  const std::vector<LevelsRow> rows = levels.Rows();
  ASSERT_EQ(rows.size(), kLevelNames.size());
  EXPECT_EQ(rows[0].largest, 200);
  EXPECT_EQ(rows[1].second_quarter, rows[1].last_quarter);
  EXPECT_NEAR(rows[2].second_quarter, 37, 1);
  EXPECT_NEAR(rows[2].last_quarter, 88, 1);
}

TEST(ClusterLevels, SayNothingWithoutSamplesInEachQuarter) {
  ClusterLevels levels;
  EXPECT_TRUE(levels.Rows().empty());
  levels.Note(absl::Seconds(100), {{100, 30, 20, 5}});
  EXPECT_TRUE(levels.Rows().empty());
}

}  // namespace
}  // namespace forebay
