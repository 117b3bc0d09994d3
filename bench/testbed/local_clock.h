// LocalClock: the wall clock of one process, which can leap. By libfaketime (Debian's package
// faketime), which answers in the process instead of the system; the monotonic clock stays.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace forebay {

class LocalClock {
 public:
  // FAILED_PRECONDITION says why it cannot be done here.
  static absl::Status Allow();
  // `file`: says how far the clock is off.
  explicit LocalClock(std::string file) : file_(std::move(file)) {}

  // The command of a process whose clock this is.
  std::vector<std::string> Command(std::vector<std::string> command) const;
  // What a process that was killed leaves: libfaketime's shared memory, named by its number.
  static void TidyAfter(pid_t process);
  // A running process notices within a second.
  absl::Status SetOff(absl::Duration by) const;

 private:
  const std::string file_;
};

}  // namespace forebay
