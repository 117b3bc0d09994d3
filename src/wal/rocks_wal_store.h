// RocksWalStore: the durable log of a node, in a RocksDB of its own with one write-ahead log, so
// that all partitions share each fsync.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "wal/wal_store.h"

namespace forebay {

struct RocksWalOptions {
  std::string directory;  // created when it is not there; of one node only
  NodeId node;
  // Taken when the store is found empty or damaged. Drawn at random by the caller; not 0.
  Incarnation new_incarnation;
  // 1 MiB at least. Up to three of them are in memory, up to four in the log. A block that is
  // trimmed before its memtable is full is never written a second time.
  size_t memtable_bytes = 64 << 20;
};

// Threads: one commits, and RocksDB's two in the background. Completions run on the first.
//
// What opening decides (docs/decisions/0010-wal-recovery.md):
//   - closed in order, or killed: everything that was synced is there.
//   - power cut: the same; a last write that was cut short before its sync is removed.
//   - damaged, or synced writes are missing: what is whole up to there is kept, or, when RocksDB
//     cannot open it at all, moved to <directory>/db.damaged; either way the store takes the new
//     incarnation and says so in the log.
class RocksWalStore : public WalStore {
 public:
  //   ALREADY_EXISTS: another store, here or in another process, holds the directory.
  //   FAILED_PRECONDITION: the directory is another node's.
  //   INVALID_ARGUMENT: an option is out of range.
  //   UNAVAILABLE: the file system does not let us (permission, space, I/O error).
  static absl::StatusOr<std::unique_ptr<RocksWalStore>> Open(const RocksWalOptions& options);
};

}  // namespace forebay
