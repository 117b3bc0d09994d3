// DiskWatch: is this node's disk fit for an owner? Told how full it is and how long writes wait, it
// says when to stop taking appends, when to store nothing more, and when to leave owning to others.
// (docs/design/protocol.md#limits; H15.) Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "forebay/options.h"
#include "wal/disk_usage.h"

namespace forebay {

// Confined to one executor. Before the first OnUsage the disk counts as empty.
class DiskWatch {
 public:
  // `directory` is for people.
  DiskWatch(const DiskOptions& options, std::string directory);

  void OnUsage(const DiskUsage& usage);
  // Blocks of so many bytes were given to the store; they count as used until that is measured.
  void OnBlocks(uint64_t bytes);
  // At least a few times within slow_after, with WalStats::oldest_wait.
  void OnTick(absl::Time now, absl::Duration oldest_wait);

  // Takes no appends, and hands over.
  bool full() const { return full_; }
  // Stores no blocks: what is free is for drain and trim. Implies full. No measurement but the
  // first leads from room to here at once, so that what the owner took before it can still be
  // stored.
  bool on_reserve() const { return on_reserve_; }
  bool slow() const { return slow_; }
  // The directory, its level and the setting, for people.
  std::string Level() const;

 private:
  void Judge();
  uint64_t FreeBytes() const;
  double UsedPercent() const;

  const DiskOptions options_;
  const std::string directory_;
  std::optional<DiskUsage> usage_;
  // Given to the store since the last measurement, and between the last two: a measurement may have
  // been taken before those were written.
  uint64_t new_bytes_ = 0;
  uint64_t recent_bytes_ = 0;
  bool full_ = false;
  bool on_reserve_ = false;
  bool slow_ = false;
  absl::Time last_tick_ = absl::InfinitePast();
  absl::Time awake_since_;
  absl::Time slow_seen_;
};

}  // namespace forebay
