// A small file system of a node's own, in a file. It can lose power and fill up, as a disk does.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace forebay {

// ext4 on a loop device. Confined to one thread, which must have called Allow; what it mounts is
// seen by that thread and its child processes only, and is gone with them.
class LocalDisk {
 public:
  struct Options {
    std::string folder;  // made if need be; where the file system is mounted
    std::string log;     // what the commands say
    uint64_t size_bytes = 0;
  };

  // Prepares this thread for mounting. FAILED_PRECONDITION says why it cannot be done here.
  static absl::Status Allow();
  static absl::StatusOr<std::unique_ptr<LocalDisk>> Make(Options options);
  // Unmounts. Nobody may have a file open.
  ~LocalDisk();

  // From now on nothing reaches the disk, and every call about it fails. What was written and not
  // synced is lost: the journal is not flushed either.
  absl::Status CutPower();
  // Mounts it again. Nobody may have a file open.
  absl::Status RestorePower();
  // Leaves no free block.
  absl::Status Fill();
  absl::Status MakeRoom();

 private:
  explicit LocalDisk(Options options) : options_(std::move(options)) {}
  absl::Status Mount();
  absl::Status Unmount();
  std::string Image() const { return options_.folder + ".img"; }
  std::string Filler() const { return options_.folder + "/filler"; }

  const Options options_;
  bool mounted_ = false;
};

}  // namespace forebay
