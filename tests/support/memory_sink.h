// A transactional sink in memory: the double of the shipped sinks, with faults.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "forebay/sink.h"
#include "runtime/mutex.h"

namespace forebay {

// The downstream, shared by the MemorySinks of several nodes. Thread-safe. It lives as long as one
// of them, hence shared_ptr.
class MemoryDownstream {
 public:
  enum class Fault {
    kNone,
    kRefused,   // UNAVAILABLE, without effect
    kAmbiguous  // takes effect, and says UNAVAILABLE
  };
  struct Row {
    Offset offset;
    Event event;
  };
  struct Progress {
    Epoch epoch;
    Offset next;
  };

  // Asked at every call ("open", "deliver", "skip"), under the lock; must not call back.
  std::function<Fault(const char* call, const PartitionId&)> fault;
  // Why it can never take an event; nothing when it can.
  std::function<std::optional<std::string>(const Event&)> poison;

  absl::StatusOr<SinkProgress> Open(const PartitionId& partition, Epoch epoch) {
    MutexLock lock(mutex_);
    opens_++;
    const Fault fate = Fate("open", partition);
    if (fate == Fault::kRefused) return absl::UnavailableError("refused");
    Progress& progress = progress_[partition];
    if (progress.epoch > epoch) return Fenced(progress);
    progress.epoch = epoch;
    if (fate == Fault::kAmbiguous) return absl::UnavailableError("the answer was lost");
    return SinkProgress{progress.next};
  }

  absl::Status Take(const SinkBatch& batch, bool skip) {
    MutexLock lock(mutex_);
    const Fault fate = Fate(skip ? "skip" : "deliver", batch.partition);
    if (fate == Fault::kRefused) return absl::UnavailableError("refused");
    Progress& progress = progress_[batch.partition];
    if (progress.epoch > batch.epoch) return Fenced(progress);
    if (progress.epoch != batch.epoch || progress.next != batch.first) {
      return absl::OutOfRangeError(absl::StrCat("next is ", progress.next.value()));
    }
    if (!skip) {
      for (const Event& event : batch.events) {
        auto why = poison ? poison(event) : std::nullopt;
        if (why) return absl::InvalidArgumentError(*why);
      }
      for (size_t i = 0; i < batch.events.size(); i++) {
        rows_[batch.partition].push_back(Row{batch.first + i, batch.events[i]});
      }
      changed_.SignalAll();
    }
    skips_ += skip ? 1 : 0;
    progress.next = batch.last + 1;
    return fate == Fault::kAmbiguous ? absl::UnavailableError("the answer was lost")
                                     : absl::OkStatus();
  }

  std::vector<Row> Rows(const PartitionId& partition) const {
    MutexLock lock(mutex_);
    auto rows = rows_.find(partition);
    return rows == rows_.end() ? std::vector<Row>() : rows->second;
  }
  Progress ProgressOf(const PartitionId& partition) const {
    MutexLock lock(mutex_);
    auto progress = progress_.find(partition);
    return progress == progress_.end() ? Progress() : progress->second;
  }
  // As after a fail-over to an older state: rows from `next` on are gone.
  void GoBack(const PartitionId& partition, Offset next) {
    MutexLock lock(mutex_);
    progress_[partition].next = next;
    std::erase_if(rows_[partition], [next](const Row& row) { return row.offset >= next; });
  }
  // Of a sink that was in use before the test.
  void SetProgress(const PartitionId& partition, Progress progress) {
    MutexLock lock(mutex_);
    progress_[partition] = progress;
  }
  uint64_t opens() const {
    MutexLock lock(mutex_);
    return opens_;
  }
  uint64_t skips() const {
    MutexLock lock(mutex_);
    return skips_;
  }
  // Waits until it holds that many, of all partitions; what it holds then.
  std::vector<Event> WaitForEvents(size_t count, absl::Duration limit) {
    MutexLock lock(mutex_);
    const absl::Time end = absl::Now() + limit;
    while (Count() < count && absl::Now() < end) changed_.WaitFor(mutex_, end - absl::Now());
    std::vector<Event> events;
    for (const auto& [partition, rows] : rows_) {
      for (const Row& row : rows) events.push_back(row.event);
    }
    return events;
  }

 private:
  Fault Fate(const char* call, const PartitionId& partition) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return fault ? fault(call, partition) : Fault::kNone;
  }
  size_t Count() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    size_t count = 0;
    for (const auto& [partition, rows] : rows_) count += rows.size();
    return count;
  }
  static absl::Status Fenced(const Progress& progress) {
    return absl::FailedPreconditionError(
        absl::StrCat("epoch ", progress.epoch.value(), " has been here"));
  }

  mutable Mutex mutex_;
  CondVar changed_;
  std::map<PartitionId, Progress> progress_ ABSL_GUARDED_BY(mutex_);
  std::map<PartitionId, std::vector<Row>> rows_ ABSL_GUARDED_BY(mutex_);
  uint64_t opens_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t skips_ ABSL_GUARDED_BY(mutex_) = 0;
};

class MemorySink final : public Sink {
 public:
  explicit MemorySink(std::shared_ptr<MemoryDownstream> downstream)
      : downstream_(std::move(downstream)) {}

  absl::StatusOr<SinkProgress> Open(const PartitionId& partition, Epoch epoch) override {
    return downstream_->Open(partition, epoch);
  }
  absl::Status Deliver(const SinkBatch& batch) override { return downstream_->Take(batch, false); }
  absl::Status Skip(const SinkBatch& batch) override { return downstream_->Take(batch, true); }
  bool HoldsProgress() const override { return true; }

 private:
  std::shared_ptr<MemoryDownstream> downstream_;
};

}  // namespace forebay
