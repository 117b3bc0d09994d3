#include "drain/drain.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "base/check.h"
#include "drain/drain_task.h"
#include "drain/worker_pool.h"

namespace forebay {

const char* NameOf(DrainState state) {
  constexpr const char* kNames[] = {"lost",       "opening",      "finding-start", "idle",
                                    "filling",    "reading",      "delivering",    "dead-letter",
                                    "retrying",   "stepped-down", "setting-aside", "missing-blocks",
                                    "undecodable"};
  static_assert(std::size(kNames) == static_cast<size_t>(DrainState::kCount));
  return kNames[static_cast<size_t>(state)];
}

class Drain::Impl {
 public:
  Impl(Runtime runtime, Random random, std::vector<SinkBinding> sinks, DrainPorts ports,
       DrainOptions options)
      : context_{runtime.clock,
                 runtime.loop,
                 WorkerPool(runtime.loop, std::move(runtime.workers), sinks.size()),
                 random,
                 std::move(ports),
                 options,
                 std::move(sinks)} {}

  void OnCommitted(const PartitionId& partition, Epoch epoch, Offset committed) {
    if (stopping_) return;
    auto known = partitions_.find(partition);
    if (known == partitions_.end()) {
      known = partitions_.emplace(partition, MakeTasks(partition)).first;
    }
    for (auto& task : known->second.tasks) task->Commit(epoch, committed);
  }

  void OnLost(const PartitionId& partition) {
    auto known = partitions_.find(partition);
    if (known == partitions_.end()) return;
    for (auto& task : known->second.tasks) task->Lose();
    known->second.floor.reset();
  }

  std::vector<DrainStatus> Status() const {
    std::vector<DrainStatus> out;
    for (const auto& [id, partition] : partitions_) {
      for (const auto& task : partition.tasks) {
        if (task->active()) out.push_back(task->Status());
      }
    }
    return out;
  }

  const DrainVisits& visits() const { return context_.visits; }

  void Stop(absl::AnyInvocable<void()> done) {
    stopping_ = true;
    for (auto& [id, partition] : partitions_) {
      for (auto& task : partition.tasks) task->Lose();
    }
    context_.workers.Stop(
        [&loop = context_.loop, done = std::move(done)]() mutable { loop.Post(std::move(done)); });
  }

 private:
  // Kept after OnLost, because a sink call may be under way and calls for one partition come one
  // after the other.
  struct Partition {
    std::vector<std::unique_ptr<DrainTask>> tasks;
    std::optional<Offset> floor;
  };

  Partition MakeTasks(const PartitionId& partition) {
    Partition out;
    for (size_t i = 0; i < context_.sinks.size(); i++) {
      if (context_.sinks[i].stream != partition.stream) continue;
      out.tasks.push_back(std::make_unique<DrainTask>(context_, partition, i,
                                                      [this, partition] { Trim(partition); }));
    }
    return out;
  }

  // The slowest sink decides.
  void Trim(const PartitionId& id) {
    Partition& partition = partitions_.at(id);
    std::optional<Offset> floor;
    for (const auto& task : partition.tasks) {
      if (!task->released()) return;
      floor = floor ? std::min(*floor, *task->released()) : *task->released();
    }
    if (!floor || (partition.floor && *floor <= *partition.floor)) return;
    partition.floor = floor;
    context_.ports.set_trim_floor(id, *floor);
  }

  DrainContext context_;
  bool stopping_ = false;
  std::map<PartitionId, Partition> partitions_;
};

Drain::Drain(Runtime runtime, Random random, std::vector<SinkBinding> sinks, DrainPorts ports,
             DrainOptions options)
    : impl_(std::make_unique<Impl>(std::move(runtime), random, std::move(sinks), std::move(ports),
                                   options)) {}

Drain::~Drain() = default;

void Drain::OnCommitted(const PartitionId& partition, Epoch epoch, Offset committed) {
  impl_->OnCommitted(partition, epoch, committed);
}

void Drain::OnLost(const PartitionId& partition) { impl_->OnLost(partition); }

std::vector<DrainStatus> Drain::Status() const { return impl_->Status(); }

const DrainVisits& Drain::visits() const { return impl_->visits(); }

void Drain::Stop(absl::AnyInvocable<void()> done) { impl_->Stop(std::move(done)); }

}  // namespace forebay
