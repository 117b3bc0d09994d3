// Virtual time: one event queue for a whole simulated world, and the Clock and Executors on it.
// Everything runs on the caller's thread, in an order that only depends on what was scheduled.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "forebay/clock.h"
#include "runtime/executor.h"

namespace forebay {

// The event queue. Events run in the order of (time, order of scheduling). Not thread-safe.
class Simulation {
 public:
  absl::Time Now() const { return now_; }
  uint64_t steps() const { return steps_; }  // events run so far

  void At(absl::Time when, Task event) {
    size_t slot = tasks_.size();
    if (free_.empty()) {
      tasks_.push_back(std::move(event));
    } else {
      slot = free_.back();
      free_.pop_back();
      tasks_[slot] = std::move(event);
    }
    queue_.push_back(Event{std::max(when, now_), next_++, slot});
    std::push_heap(queue_.begin(), queue_.end(), Later);
  }
  void After(absl::Duration delay, Task event) { At(now_ + delay, std::move(event)); }

  // Runs the next event; false when nothing is scheduled.
  bool Step() {
    if (queue_.empty()) return false;
    std::pop_heap(queue_.begin(), queue_.end(), Later);
    const Event event = queue_.back();
    queue_.pop_back();
    now_ = event.when;
    steps_++;
    Task task = std::move(tasks_[event.slot]);
    free_.push_back(event.slot);
    task();
    return true;
  }
  // Runs everything that is due until then; the time is `end` afterwards.
  void RunUntil(absl::Time end) {
    while (!queue_.empty() && queue_.front().when <= end) Step();
    now_ = std::max(now_, end);
  }
  void RunFor(absl::Duration time) { RunUntil(now_ + time); }
  // Runs until the condition holds; false when it did not within `limit` of simulated time.
  template <typename Condition>
  bool RunUntilTrue(Condition condition, absl::Duration limit) {
    const absl::Time end = now_ + limit;
    while (!condition()) {
      if (queue_.empty() || queue_.front().when > end) {
        now_ = end;
        return false;
      }
      Step();
    }
    return true;
  }

 private:
  struct Event {
    absl::Time when;
    uint64_t order;
    size_t slot;  // of tasks_: the heap itself is cheap to move
  };
  static bool Later(const Event& a, const Event& b) {
    return a.when != b.when ? a.when > b.when : a.order > b.order;
  }

  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  uint64_t next_ = 0;
  uint64_t steps_ = 0;
  std::vector<Event> queue_;  // a heap: the next event is in front
  std::vector<Task> tasks_;
  std::vector<size_t> free_;  // slots of tasks_
};

class SimClock final : public Clock {
 public:
  explicit SimClock(const Simulation& simulation) : simulation_(simulation) {}
  absl::Time Now() const override { return simulation_.Now(); }

 private:
  const Simulation& simulation_;
};

// One event loop of one process life. A task takes no time, but a posted one starts at least 1 us
// later, so that a loop of tasks lets the world go on. The tasks outlive the executor harmlessly.
class SimExecutor final : public Executor {
 public:
  explicit SimExecutor(Simulation& simulation) : simulation_(simulation) {}
  ~SimExecutor() override { Kill(); }

  void Post(Task task) override { PostAfter(absl::ZeroDuration(), std::move(task)); }
  void PostAfter(absl::Duration delay, Task task) override {
    if (!state_->alive) return;
    simulation_.After(std::max(delay, absl::Microseconds(1)),
                      [state = state_, task = std::move(task)]() mutable {
                        if (!state->alive) return;
                        if (state->frozen) {
                          state->waiting.push_back(std::move(task));
                        } else {
                          task();
                        }
                      });
  }

  // From now on no task runs, neither one that waits nor one that is posted later.
  void Kill() {
    state_->alive = false;
    state_->waiting.clear();
  }
  bool alive() const { return state_->alive; }

  // Like SIGSTOP and SIGCONT: what falls due meanwhile runs, in order, after the thaw.
  void Freeze() { state_->frozen = true; }
  void Thaw() {
    state_->frozen = false;
    for (Task& task : std::exchange(state_->waiting, {})) Post(std::move(task));
  }
  bool frozen() const { return state_->frozen; }

 private:
  // Shared with the scheduled tasks, which may come after the executor's end.
  struct State {
    bool alive = true;
    bool frozen = false;
    std::deque<Task> waiting;
  };

  Simulation& simulation_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace forebay
