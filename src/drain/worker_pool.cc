#include "drain/worker_pool.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace forebay {

WorkerPool::WorkerPool(Executor& loop, std::vector<Executor*> workers, size_t groups)
    : loop_(loop),
      group_share_(std::max<size_t>(1, workers.size() / std::max<size_t>(1, groups))),
      free_(std::move(workers)),
      running_(groups, 0),
      self_(std::make_shared<WorkerPool*>(this)) {
  FOREBAY_CHECK(!free_.empty(), "the drain needs a worker");
}

void WorkerPool::Run(size_t group, Task work, Task then) {
  FOREBAY_CHECK(group < running_.size(), "no such group of sink calls");
  if (stopping_) return;
  waiting_.push_back(Job{group, std::move(work), std::move(then)});
  Dispatch();
}

void WorkerPool::Stop(absl::AnyInvocable<void()> idle) {
  stopping_ = true;
  waiting_.clear();
  idle_ = std::move(idle);
  if (running_total_ == 0) std::exchange(idle_, nullptr)();
}

void WorkerPool::Dispatch() {
  while (!free_.empty()) {
    auto next = std::find_if(waiting_.begin(), waiting_.end(),
                             [this](const Job& job) { return running_[job.group] < group_share_; });
    if (next == waiting_.end()) return;
    Job job = std::move(*next);
    waiting_.erase(next);
    Start(std::move(job));
  }
}

void WorkerPool::Start(Job job) {
  Executor* worker = free_.back();
  free_.pop_back();
  running_[job.group]++;
  running_total_++;
  worker->Post(
      [&loop = loop_, self = std::weak_ptr(self_), worker, job = std::move(job)]() mutable {
        job.work();
        loop.Post([self, worker, job = std::move(job)]() mutable {
          auto pool = self.lock();
          if (pool == nullptr) return;
          (*pool)->Finish(worker, job.group);
          job.then();
        });
      });
}

void WorkerPool::Finish(Executor* worker, size_t group) {
  free_.push_back(worker);
  running_[group]--;
  running_total_--;
  if (stopping_) {
    if (running_total_ == 0 && idle_) std::exchange(idle_, nullptr)();
    return;
  }
  Dispatch();
}

}  // namespace forebay
