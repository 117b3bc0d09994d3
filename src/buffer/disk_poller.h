// DiskPoller: looks how full the data directory's disk is, over and over, on a thread of its own,
// because a file system may keep a caller waiting.
#pragma once

#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "runtime/mutex.h"
#include "runtime/thread_executor.h"
#include "wal/disk_usage.h"

namespace forebay {

// Thread-safe.
class DiskPoller {
 public:
  using Report = std::function<void(const DiskUsage&)>;

  explicit DiskPoller(std::string directory);

  // Looks once, at once, and reports on the caller's thread; from then on `report` runs on the
  // poller's thread.
  void Start(Report report);
  // No report runs after it returns.
  void Stop();

  // As last measured.
  DiskUsage usage() const;

 private:
  void Look();
  void LookLater();

  const std::string directory_;
  Report report_;
  mutable Mutex mutex_;
  DiskUsage usage_ ABSL_GUARDED_BY(mutex_);
  bool failed_ = false;                    // the last time; of the poller's thread once started
  ThreadExecutor thread_{"forebay-disk"};  // last: it ends before what it works on
};

}  // namespace forebay
