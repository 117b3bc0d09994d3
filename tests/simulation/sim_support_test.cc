// The simulated world's own parts: virtual time, executors, network.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/sim_executor.h"

namespace forebay {
namespace {

class SimExecutorTest : public testing::Test {
 protected:
  Task Note(const std::string& what) {
    return [this, what] { seen_.push_back(what); };
  }
  Simulation simulation_;
  SimExecutor executor_{simulation_};
  std::vector<std::string> seen_;
};

TEST_F(SimExecutorTest, RunsTasksInTheOrderOfTimeThenPosting) {
  executor_.PostAfter(absl::Seconds(2), Note("late"));
  executor_.Post(Note("first"));
  executor_.Post(Note("second"));
  executor_.PostAfter(absl::Seconds(1), Note("middle"));
  simulation_.RunFor(absl::Seconds(3));
  EXPECT_EQ(seen_, (std::vector<std::string>{"first", "second", "middle", "late"}));
}

TEST_F(SimExecutorTest, MovesTheClockOnlyWithTheEvents) {
  SimClock clock(simulation_);
  const absl::Time start = clock.Now();
  absl::Time seen;
  executor_.PostAfter(absl::Hours(5), [&] { seen = clock.Now(); });
  EXPECT_EQ(clock.Now(), start);
  simulation_.RunFor(absl::Hours(6));
  EXPECT_EQ(seen, start + absl::Hours(5));
  EXPECT_EQ(clock.Now(), start + absl::Hours(6));
}

TEST_F(SimExecutorTest, RunsNothingAfterItsDeath) {
  executor_.Post(Note("waiting"));
  executor_.Kill();
  executor_.Post(Note("posted later"));
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_TRUE(seen_.empty());
}

TEST_F(SimExecutorTest, KeepsTasksInOrderWhileFrozen) {
  executor_.Freeze();
  executor_.Post(Note("one"));
  executor_.PostAfter(absl::Milliseconds(10), Note("two"));
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_TRUE(seen_.empty());
  executor_.Thaw();
  executor_.Post(Note("three"));
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_EQ(seen_, (std::vector<std::string>{"one", "two", "three"}));
}

TEST_F(SimExecutorTest, StopsWaitingForAConditionAtTheLimit) {
  int count = 0;
  executor_.PostAfter(absl::Seconds(1), [&] { count++; });
  EXPECT_TRUE(simulation_.RunUntilTrue([&] { return count == 1; }, absl::Seconds(5)));
  EXPECT_FALSE(simulation_.RunUntilTrue([&] { return count == 2; }, absl::Seconds(5)));
}

}  // namespace
}  // namespace forebay
