// How full a file system is.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace forebay {

// As df counts: what only root may use is neither used nor free.
struct DiskUsage {
  uint64_t used_bytes = 0;
  uint64_t free_bytes = 0;
  double used_percent() const {
    const double all = static_cast<double>(used_bytes) + static_cast<double>(free_bytes);
    return all == 0 ? 0 : 100 * static_cast<double>(used_bytes) / all;
  }
};

// Of the file system that holds the directory. May block for as long as the file system does.
absl::StatusOr<DiskUsage> MeasureDisk(const std::string& directory);

}  // namespace forebay
