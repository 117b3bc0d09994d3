#include "testbed/local_disk.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "runtime/pause.h"
#include "testbed/child_process.h"

namespace forebay {
namespace {

// linux/ext4.h has these since Linux 6.6 only; the numbers are older and fixed.
constexpr unsigned long kShutdown = _IOR('X', 125, uint32_t);
constexpr uint32_t kNoLogFlush = 2;

absl::Status SystemError(const std::string& what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

// A system call on the folder itself.
template <typename Call>
absl::Status OnFolder(const std::string& what, const std::string& path, Call call) {
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return SystemError("open " + path);
  const absl::Status status =
      call(folder) == 0 ? absl::OkStatus() : SystemError(absl::StrCat(what, " ", path));
  ::close(folder);
  return status;
}

}  // namespace

absl::Status LocalDisk::Allow() {
  if (::geteuid() != 0) return absl::FailedPreconditionError("mounting needs root");
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return absl::FailedPreconditionError(absl::StrCat("a mount namespace: ", std::strerror(errno)));
  }
  if (!std::filesystem::exists("/dev/loop-control")) {
    return absl::FailedPreconditionError("there are no loop devices (/dev/loop-control)");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<LocalDisk>> LocalDisk::Make(Options options) {
  std::unique_ptr<LocalDisk> disk(new LocalDisk(std::move(options)));
  std::error_code error;
  std::filesystem::create_directories(disk->options_.folder, error);
  const int image = ::open(disk->Image().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (image < 0) return SystemError("open " + disk->Image());
  const bool sized = ::ftruncate(image, static_cast<off_t>(disk->options_.size_bytes)) == 0;
  ::close(image);
  if (!sized) return SystemError("ftruncate " + disk->Image());
  // No blocks kept for root, so that full is full.
  FOREBAY_RETURN_IF_ERROR(
      RunCommand({.command = {"mkfs.ext4", "-q", "-F", "-m", "0", "-E",
                              "lazy_itable_init=0,lazy_journal_init=0", disk->Image()},
                  .log = disk->options_.log}));
  FOREBAY_RETURN_IF_ERROR(disk->Mount());
  // The node takes an empty folder for a new store.
  std::filesystem::remove(disk->options_.folder + "/lost+found", error);
  return disk;
}

LocalDisk::~LocalDisk() {
  if (mounted_)
    Unmount().IgnoreError();  // it goes with this thread's mount namespace at the latest
}

absl::Status LocalDisk::Mount() {
  FOREBAY_RETURN_IF_ERROR(RunCommand(
      {.command = {"mount", "-o", "loop", Image(), options_.folder}, .log = options_.log}));
  mounted_ = true;
  return absl::OkStatus();
}

absl::Status LocalDisk::Unmount() {
  // A process that was killed may still be closing its files.
  for (int tries = 0; ::umount2(options_.folder.c_str(), 0) != 0; ++tries) {
    if (errno != EBUSY || tries == 200) return SystemError("unmount " + options_.folder);
    Pause(absl::Milliseconds(10));
  }
  mounted_ = false;
  return absl::OkStatus();
}

absl::Status LocalDisk::CutPower() {
  return OnFolder("shut down", options_.folder, [](int folder) {
    uint32_t how = kNoLogFlush;
    return ::ioctl(folder, kShutdown, &how);
  });
}

absl::Status LocalDisk::RestorePower() {
  if (mounted_) FOREBAY_RETURN_IF_ERROR(Unmount());
  return Mount();
}

absl::Status LocalDisk::Fill() {
  const int filler = ::open(Filler().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (filler < 0) return SystemError("open " + Filler());
  off_t size = 0;
  struct statvfs free {};
  // Halves, as what others take meanwhile makes a request for all of it fail.
  for (int tries = 0; tries < 200 && ::fstatvfs(filler, &free) == 0 && free.f_bfree > 0; ++tries) {
    const off_t step = static_cast<off_t>((free.f_bfree + 1) / 2 * free.f_frsize);
    if (::fallocate(filler, 0, size, step) == 0) size += step;
  }
  ::close(filler);
  return absl::OkStatus();
}

absl::Status LocalDisk::MakeRoom() {
  if (::unlink(Filler().c_str()) != 0) return SystemError("remove " + Filler());
  return OnFolder("sync", options_.folder, ::fsync);
}

}  // namespace forebay
