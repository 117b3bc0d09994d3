// Opens the RocksDB of a RocksWalStore: the directory's lock, the check of the log files, recovery,
// and the decision whether the store is damaged (docs/decisions/0010-wal-recovery.md).
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "rocksdb/listener.h"
#include "wal/rocks_wal_store.h"
#include "wal/sync_mark.h"
#include "wal/wal_loader.h"

namespace forebay {

// Held while a store uses its directory.
class DirectoryLock {
 public:
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Take(
      std::shared_ptr<rocksdb::FileSystem> files, const std::string& path);
  ~DirectoryLock();

 private:
  DirectoryLock(std::shared_ptr<rocksdb::FileSystem> files, rocksdb::FileLock* lock)
      : files_(std::move(files)), lock_(lock) {}

  // Shared with its maker; RocksDB's interfaces take file systems like this.
  const std::shared_ptr<rocksdb::FileSystem> files_;
  rocksdb::FileLock* const lock_;
};

// In order of destruction: last member first.
struct OpenedWal {
  std::shared_ptr<rocksdb::FileSystem> files;
  std::unique_ptr<DirectoryLock> lock;
  std::unique_ptr<rocksdb::Env> env;
  std::unique_ptr<SyncMark> mark;
  bool mark_was_damaged = false;  // it was written again
  WalMarker marker;
  LoadedWal loaded;
  std::unique_ptr<RocksHandles> rocks;
};

// Codes as RocksWalStore::Open.
absl::StatusOr<OpenedWal> OpenWal(const RocksWalOptions& options,
                                  std::shared_ptr<rocksdb::FileSystem> files,
                                  std::shared_ptr<rocksdb::EventListener> listener);

}  // namespace forebay
