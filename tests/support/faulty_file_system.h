// FaultyFileSystem: a file system for RocksDB that fails when told to, and that can lose what was
// not synced: bytes of files, and entries of directories (files made, renamed, deleted).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "rocksdb/file_system.h"
#include "runtime/mutex.h"

namespace forebay {

// Thread-safe.
class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  // What becomes of bytes that were written and not synced, when the power goes.
  enum class Unsynced {
    kKept,    // all of them came to the disk, as when only the process was killed
    kGone,    // the file is as long as it was at its last sync
    kHalf,    // half of them came to the disk
    kZeroed,  // the length came to the disk, the pages did not
  };

  // Deleted files wait in `trash` (a directory) until their directory is synced.
  explicit FaultyFileSystem(std::string trash);
  const char* Name() const override { return "FaultyFileSystem"; }

  // From now on every change fails and has no effect, until PowerOn, which leaves what was synced.
  void CutPower();
  // No file of this file system may be open.
  void PowerOn(Unsynced unsynced);

  // Writes, syncs and changes of directories so far.
  int changes() const;
  // The n-th change from now (1: the next) fails; with `all`, so do those after it.
  void FailChange(int n, bool all);
  // The next sync of a log file fails.
  void FailNextLogSync();
  void SetNoSpace(bool no_space);
  // Writes of table files fail, as those of a background job do.
  void SetTablesFail(bool fail);
  // Syncs of log files wait until it is false again, or the power goes.
  void SetHold(bool hold);
  // Returns when a sync waits.
  void WaitUntilHolding();
  // Everything is well again.
  void Heal();

  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options,
                                 uint64_t* free, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomRWFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

  // For the files it makes. OK when a change may happen.
  rocksdb::IOStatus BeforeChange() ABSL_LOCKS_EXCLUDED(mutex_);
  rocksdb::IOStatus BeforeWrite(const std::string& path) ABSL_LOCKS_EXCLUDED(mutex_);
  rocksdb::IOStatus BeforeSync(const std::string& path) ABSL_LOCKS_EXCLUDED(mutex_);
  void AfterSync(const std::string& path) ABSL_LOCKS_EXCLUDED(mutex_);
  void BeforeOverwrite(const std::string& path) ABSL_LOCKS_EXCLUDED(mutex_);
  void AfterDirectorySync(const std::string& path) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // A change of a directory that is not synced yet, and can be undone.
  struct Entry {
    enum Kind { kMade, kRenamed, kDeleted } kind;
    std::string directory;
    std::string path;
    std::string from;                      // renamed: its old path; deleted: where it waits
    std::optional<std::string> overwrote;  // renamed: what was at `path`
  };

  void Record(Entry entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Undo(const Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MoveState(const std::string& from, const std::string& to)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LoseUnsynced(const std::string& path, uint64_t synced, Unsynced unsynced) const;

  const std::string trash_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, uint64_t> synced_bytes_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> before_overwrite_ ABSL_GUARDED_BY(mutex_);
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  int changes_ ABSL_GUARDED_BY(mutex_) = 0;
  int trashed_ ABSL_GUARDED_BY(mutex_) = 0;
  int fail_at_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: never
  bool fail_all_after_ ABSL_GUARDED_BY(mutex_) = false;
  bool fail_log_sync_ ABSL_GUARDED_BY(mutex_) = false;
  bool no_space_ ABSL_GUARDED_BY(mutex_) = false;
  bool tables_fail_ ABSL_GUARDED_BY(mutex_) = false;
  bool hold_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_holding_ ABSL_GUARDED_BY(mutex_) = false;
  bool power_is_cut_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace forebay
