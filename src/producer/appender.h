// Appender: the thread-safe front of a Producer. It waits where the caller may wait, and leaves the
// rest of the work to the producer's executor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "producer/producer.h"
#include "runtime/mutex.h"

namespace forebay {

// Thread-safe. Callbacks run on the executor and must not block; so Flush, Close, the blocking
// Append and the destructor must not be called from there.
class Appender {
 public:
  using Done = std::function<void(const AppendResult&)>;
  using ManyDone = std::function<void(absl::Span<const AppendResult>)>;

  // `executor` must run until the appender is destroyed, and drop no task; `link` is not used after
  // Close.
  Appender(Clock& clock, Executor& executor, Random random, IngestLink& link,
           ProducerOptions options);
  // Closes with a deadline of 10 s if Close was not called.
  ~Appender();

  // At memory_bytes_max they wait for room, or refuse; see BatchOptions::wait_for_memory.
  void Append(Event event, Done done);
  void Append(std::vector<Event> events, ManyDone done);
  AppendResult Append(Event event);

  absl::Status Flush(absl::Duration deadline);
  absl::Status Close(absl::Duration deadline);
  ProducerStats stats() const;

 private:
  // The results of one Append of many events, told together.
  class ManyResults;

  // Into the inbox, or refused.
  void Take(AppendItem item);
  absl::Status WaitForRoom(size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Refuse(Done done, absl::Status status);
  // On the executor.
  void Drain();

  Clock& clock_;
  Executor& executor_;
  const BatchOptions batch_;
  // Used on the executor, and under the lock for its stats. Changed with both, null after Close.
  std::unique_ptr<Producer> producer_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<AppendItem> inbox_ ABSL_GUARDED_BY(mutex_);
  size_t memory_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // taken in and not settled
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;          // callers that wait for room
  uint64_t refused_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  ProducerStats last_stats_ ABSL_GUARDED_BY(mutex_);

  std::vector<AppendItem> draining_;  // on the executor; keeps its capacity
};

}  // namespace forebay
