#include "buffer/disk_poller.h"

#include <utility>

#include "runtime/log.h"

namespace forebay {
namespace {

// What is written in between is reckoned with (replication/disk_watch.h), so this bounds only how
// late space that came back is seen.
constexpr absl::Duration kEvery = absl::Milliseconds(250);

}  // namespace

DiskPoller::DiskPoller(std::string directory) : directory_(std::move(directory)) {}

void DiskPoller::Start(Report report) {
  report_ = std::move(report);
  Look();
  LookLater();
}

void DiskPoller::Stop() { thread_.Stop(); }

DiskUsage DiskPoller::usage() const {
  MutexLock lock(mutex_);
  return usage_;
}

void DiskPoller::LookLater() {
  thread_.PostAfter(kEvery, [this] {
    Look();
    LookLater();
  });
}

void DiskPoller::Look() {
  const absl::StatusOr<DiskUsage> measured = MeasureDisk(directory_);
  if (!measured.ok()) {
    // Once for each run of failures; what was measured last stays true for us.
    if (!std::exchange(failed_, true)) {
      Log(LogLevel::kWarning, std::string(measured.status().message()));
    }
    return;
  }
  failed_ = false;
  {
    MutexLock lock(mutex_);
    usage_ = *measured;
  }
  report_(*measured);
}

}  // namespace forebay
