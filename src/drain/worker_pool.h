// Runs blocking calls on a few executors, fairly among groups.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "runtime/executor.h"

namespace forebay {

// Confined to `loop`. Each worker runs one job at a time; a group never has more jobs running than
// its share of the workers (at least one). Waiting jobs start in order. The caller bounds them.
class WorkerPool {
 public:
  WorkerPool(Executor& loop, std::vector<Executor*> workers, size_t groups);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Runs `work` on a worker, then `then` on the loop. After the pool's end neither starts.
  void Run(size_t group, Task work, Task then);
  // Drops the jobs that have not started, and calls back when none is running.
  void Stop(absl::AnyInvocable<void()> idle);

 private:
  struct Job {
    size_t group;
    Task work;
    Task then;
  };

  void Dispatch();
  void Start(Job job);
  void Finish(Executor* worker, size_t group);

  Executor& loop_;
  const size_t group_share_;
  std::vector<Executor*> free_;
  std::vector<size_t> running_;  // by group
  size_t running_total_ = 0;
  std::deque<Job> waiting_;
  bool stopping_ = false;
  absl::AnyInvocable<void()> idle_;
  // Jobs under way ask it whether the pool is still there, on the loop.
  std::shared_ptr<WorkerPool*> self_;
};

}  // namespace forebay
