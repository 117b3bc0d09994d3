// What a metadata store does a second on this machine, over the store that nodes use.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "metadata/metadata_store.h"

namespace forebay::scaling {

struct MetadataCostOptions {
  std::string where;             // as BufferOptions::metadata
  size_t in_flight = 1;          // calls
  size_t watchers = 0;           // that hear of every swap
  bool reads = false;            // else swaps
  std::vector<pid_t> pids = {};  // the store's processes
  absl::Duration time = absl::Seconds(3);
  size_t record_bytes = 600;  // a chain with two segments
};

struct MetadataCost {
  double calls_per_second = 0;
  double failed = 0;                  // calls
  double told_per_call = 0;           // news that watchers got
  double server_cpu_us_per_call = 0;  // of the processes
};

absl::StatusOr<MetadataCost> MeasureMetadata(const MetadataCostOptions& options);

}  // namespace forebay::scaling
