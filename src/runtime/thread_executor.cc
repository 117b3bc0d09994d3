#include "runtime/thread_executor.h"

#include <pthread.h>

#include <utility>

namespace forebay {

ThreadExecutor::ThreadExecutor(std::string name) : thread_([this] { Run(); }) {
  // Linux keeps 15 characters and refuses longer names.
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

ThreadExecutor::~ThreadExecutor() { Stop(); }

void ThreadExecutor::Post(Task task) {
  MutexLock lock(mutex_);
  if (stopping_) return;
  queue_.push_back(std::move(task));
  if (queue_.size() == 1) changed_.SignalOne();
}

void ThreadExecutor::PostAfter(absl::Duration delay, Task task) {
  const TimePoint due = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(delay);
  MutexLock lock(mutex_);
  if (stopping_) return;
  const auto at = delayed_.emplace(due, std::move(task));
  if (at == delayed_.begin()) changed_.SignalOne();
}

void ThreadExecutor::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    delayed_.clear();
    changed_.SignalOne();
  }
  if (thread_.joinable()) thread_.join();
}

bool ThreadExecutor::CollectDue(TimePoint now) {
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    queue_.push_back(std::move(delayed_.begin()->second));
    delayed_.erase(delayed_.begin());
  }
  return !queue_.empty();
}

void ThreadExecutor::Run() {
  std::deque<Task> batch;
  while (true) {
    {
      MutexLock lock(mutex_);
      while (!CollectDue(std::chrono::steady_clock::now())) {
        if (stopping_) return;
        if (delayed_.empty()) {
          changed_.Wait(mutex_);
        } else {
          changed_.WaitFor(
              mutex_, absl::FromChrono(delayed_.begin()->first - std::chrono::steady_clock::now()));
        }
      }
      batch.swap(queue_);
    }
    for (Task& task : batch) task();
    batch.clear();
  }
}

}  // namespace forebay
