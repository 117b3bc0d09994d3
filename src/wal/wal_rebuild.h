// Rebuilds a RocksDB whose files are damaged while it can still be read: a copy of all that is
// readable, without the damaged files.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "rocksdb/env.h"
#include "wal/wal_loader.h"

namespace forebay {

struct RebuiltWal {
  uint64_t blocks = 0;
  // Could not be read. Their index entries are there, so that reads of them answer DATA_LOSS and
  // they are restored from peers.
  uint64_t unreadable = 0;
};

// Into `path`, where nothing must be; durable when it returns. Nothing may be written to `from`
// meanwhile. DATA_LOSS: what says which blocks there are cannot be read. UNAVAILABLE: the file
// system does not let us.
absl::StatusOr<RebuiltWal> RebuildWal(const RocksHandles& from, rocksdb::Env* env,
                                      const std::string& path, size_t memtable_bytes);

}  // namespace forebay
