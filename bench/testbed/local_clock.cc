#include "testbed/local_clock.h"

#include <semaphore.h>
#include <sys/mman.h>

#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace forebay {
namespace {

// Empty: it is not installed.
std::string Library() {
  std::error_code error;
  for (const auto& machine : std::filesystem::directory_iterator("/usr/lib", error)) {
    std::string path = machine.path().string() + "/faketime/libfaketimeMT.so.1";
    if (std::filesystem::exists(path, error)) return path;
  }
  return "";
}

}  // namespace

absl::Status LocalClock::Allow() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return absl::FailedPreconditionError("a sanitizer allows no library to be loaded before it");
#endif
  if (!Library().empty()) return absl::OkStatus();
  return absl::FailedPreconditionError("it needs libfaketime (Debian's package faketime)");
}

std::vector<std::string> LocalClock::Command(std::vector<std::string> command) const {
  const std::vector<std::string> settings = {
      "env",
      "LD_PRELOAD=" + Library(),
      "FAKETIME_TIMESTAMP_FILE=" + file_,
      "FAKETIME_CACHE_DURATION=1",
      "FAKETIME_DONT_FAKE_MONOTONIC=1",
  };
  command.insert(command.begin(), settings.begin(), settings.end());
  return command;
}

// Its setting FAKETIME_DISABLE_SHM came after Debian 12's libfaketime (0.9.10).
void LocalClock::TidyAfter(pid_t process) {
  ::sem_unlink(absl::StrCat("/faketime_sem_", process).c_str());
  ::shm_unlink(absl::StrCat("/faketime_shm_", process).c_str());
}

// Renamed into place, because it may be read at any time.
absl::Status LocalClock::SetOff(absl::Duration by) const {
  const std::string fresh = file_ + ".new";
  std::ofstream(fresh) << absl::StrFormat("%+d\n", absl::ToInt64Seconds(by));
  std::error_code error;
  std::filesystem::rename(fresh, file_, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("write ", file_, ": ", error.message()));
}

}  // namespace forebay
