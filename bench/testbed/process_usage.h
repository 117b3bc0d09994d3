// What processes of this machine have used so far, from /proc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace forebay {

struct ProcessUsage {
  double cpu_seconds = 0;
  uint64_t written_bytes = 0;  // handed to block devices; none on a file system in memory
};

// The sum over the processes; one that has ended counts as nothing.
ProcessUsage UsageOf(const std::vector<pid_t>& processes);
ProcessUsage UsageOfThisProcess();

}  // namespace forebay
