#include "replication/disk_watch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

namespace forebay {
namespace {

// So that a level near the limit does not move partitions to and fro.
constexpr double kResumePercentBelow = 2;
// A slow disk is trusted again after so many times slow_after.
constexpr int kQuickFor = 10;

// Above the reserve there is room for what is on its way when the owners stop taking appends.
uint64_t FullBelow(uint64_t reserve_bytes) { return reserve_bytes + reserve_bytes / 4; }
uint64_t ResumeAbove(uint64_t reserve_bytes) { return reserve_bytes + reserve_bytes / 2; }

std::string Mebibytes(uint64_t bytes) { return absl::StrFormat("%d MiB", bytes >> 20); }

}  // namespace

DiskWatch::DiskWatch(const DiskOptions& options, std::string directory)
    : options_(options), directory_(std::move(directory)) {}

void DiskWatch::OnUsage(const DiskUsage& usage) {
  const bool had_room = usage_.has_value() && !full_;
  usage_ = usage;
  recent_bytes_ = std::exchange(new_bytes_, 0);
  Judge();
  if (had_room) on_reserve_ = false;
}

void DiskWatch::OnBlocks(uint64_t bytes) {
  new_bytes_ += bytes;
  Judge();
}

uint64_t DiskWatch::FreeBytes() const {
  return usage_->free_bytes - std::min(usage_->free_bytes, new_bytes_ + recent_bytes_);
}

double DiskWatch::UsedPercent() const {
  const uint64_t free = FreeBytes();
  return DiskUsage{usage_->used_bytes + (usage_->free_bytes - free), free}.used_percent();
}

void DiskWatch::Judge() {
  if (!usage_.has_value()) return;
  const uint64_t free = FreeBytes();
  const double used = UsedPercent();
  on_reserve_ = free < options_.reserve_bytes;
  if (used >= options_.refuse_at_percent || free < FullBelow(options_.reserve_bytes)) {
    full_ = true;
  } else if (used < options_.refuse_at_percent - kResumePercentBelow &&
             free >= ResumeAbove(options_.reserve_bytes)) {
    full_ = false;
  }
}

void DiskWatch::OnTick(absl::Time now, absl::Duration oldest_wait) {
  // A standstill of this process is not the disk's (H10).
  if (now - last_tick_ > options_.slow_after / 2) awake_since_ = now;
  last_tick_ = now;
  if (std::min(oldest_wait, now - awake_since_) > options_.slow_after) {
    slow_ = true;
    slow_seen_ = now;
  } else if (slow_ && now - slow_seen_ > kQuickFor * options_.slow_after) {
    slow_ = false;
  }
}

std::string DiskWatch::Level() const {
  if (!usage_.has_value()) return "the disk of " + directory_;
  return absl::StrFormat(
      "the disk of data_directory %s is %.1f %% full, %s free (disk.refuse_at_percent is %d, "
      "disk.reserve_bytes %s)",
      directory_, UsedPercent(), Mebibytes(FreeBytes()), options_.refuse_at_percent,
      Mebibytes(options_.reserve_bytes));
}

}  // namespace forebay
