#include <gtest/gtest.h>

#include <vector>

#include "runtime/mutex.h"
#include "runtime/random.h"
#include "runtime/real_clock.h"
#include "runtime/thread_executor.h"

namespace forebay {
namespace {

TEST(ThreadExecutor, RunsTasksInTheOrderTheyWerePosted) {
  std::vector<int> ran;
  ThreadExecutor executor("test");
  for (int i = 0; i < 1000; i++) executor.Post([&ran, i] { ran.push_back(i); });
  executor.Stop();
  ASSERT_EQ(ran.size(), 1000u);
  for (int i = 0; i < 1000; i++) EXPECT_EQ(ran[static_cast<size_t>(i)], i);
}

TEST(ThreadExecutor, RunsADelayedTaskNotBeforeItIsDue) {
  RealClock clock;
  Mutex mutex;
  CondVar changed;
  bool done = false;
  absl::Time ran_at;
  ThreadExecutor executor("test");
  const absl::Time posted_at = clock.Now();
  executor.PostAfter(absl::Milliseconds(20), [&] {
    MutexLock lock(mutex);
    ran_at = clock.Now();
    done = true;
    changed.SignalAll();
  });
  MutexLock lock(mutex);
  while (!done) changed.Wait(mutex);
  EXPECT_GE(ran_at - posted_at, absl::Milliseconds(20));
}

TEST(ThreadExecutor, DropsDelayedTasksWhenItStops) {
  bool ran = false;
  ThreadExecutor executor("test");
  executor.PostAfter(absl::Hours(1), [&ran] { ran = true; });
  executor.Stop();
  executor.Post([&ran] { ran = true; });
  EXPECT_FALSE(ran);
}

TEST(CondVar, WaitsWhenThereIsNoLimit) {
  Mutex mutex;
  CondVar changed;
  bool done = false;
  int wakes = 0;
  ThreadExecutor executor("test");
  executor.PostAfter(absl::Milliseconds(20), [&] {
    MutexLock lock(mutex);
    done = true;
    changed.SignalAll();
  });
  MutexLock lock(mutex);
  while (!done) {
    changed.WaitFor(mutex, absl::InfiniteDuration());
    wakes++;
  }
  EXPECT_LT(wakes, 100);  // it slept instead of turning in a circle
}

TEST(Random, GivesTheSameNumbersForTheSameSeed) {
  Random one(7), two(7), other(8);
  EXPECT_EQ(one.Next(), two.Next());
  EXPECT_NE(one.Next(), other.Next());
  for (int i = 0; i < 1000; i++) EXPECT_LT(one.Below(10), 10u);
}

}  // namespace
}  // namespace forebay
