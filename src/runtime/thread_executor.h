// An Executor on a thread of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "runtime/executor.h"
#include "runtime/mutex.h"

namespace forebay {

// Starts its thread when constructed. Stop() runs what is queued, drops what is delayed, refuses
// what comes later, and joins; it must not be called from a task. The destructor stops.
class ThreadExecutor final : public Executor {
 public:
  // `name` is what the operating system shows for the thread (15 characters at most are kept).
  explicit ThreadExecutor(std::string name);
  ~ThreadExecutor() override;

  void Post(Task task) override;
  void PostAfter(absl::Duration delay, Task task) override;
  void Stop();

 private:
  using TimePoint = std::chrono::steady_clock::time_point;

  void Run();
  // Moves delayed tasks that are due to the queue; true when there is something to run.
  bool CollectDue(TimePoint now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  CondVar changed_;
  std::deque<Task> queue_ ABSL_GUARDED_BY(mutex_);
  std::multimap<TimePoint, Task> delayed_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace forebay
