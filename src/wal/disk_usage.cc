#include "wal/disk_usage.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace forebay {

absl::StatusOr<DiskUsage> MeasureDisk(const std::string& directory) {
  struct statvfs found = {};
  while (statvfs(directory.c_str(), &found) != 0) {
    if (errno == EINTR) continue;
    return absl::UnavailableError(absl::StrCat("cannot tell how full the file system of ",
                                               directory,
                                               " is: ", std::generic_category().message(errno)));
  }
  const uint64_t block = found.f_frsize;
  return DiskUsage{.used_bytes = block * (found.f_blocks - found.f_bfree),
                   .free_bytes = block * found.f_bavail};
}

}  // namespace forebay
