// Reads at open what a RocksDB of RocksWalStore holds: its segments, fences and marker, not its
// blocks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "rocksdb/db.h"
#include "wal/wal_store.h"

namespace forebay {

// An open RocksDB and its column families. Closes them when it goes.
struct RocksHandles {
  ~RocksHandles();

  std::unique_ptr<rocksdb::DB> db;
  rocksdb::ColumnFamilyHandle* unused = nullptr;  // the family "default"
  rocksdb::ColumnFamilyHandle* blocks = nullptr;
  rocksdb::ColumnFamilyHandle* index = nullptr;
  rocksdb::ColumnFamilyHandle* state = nullptr;
};

// Index entries [from, to) of an instance, and their blocks, that nobody needs any more.
struct WalDebris {
  uint64_t instance = 0;
  Offset from;
  Offset to;
  uint64_t bytes = 0;  // of the blocks, about
};

struct LoadedSegment {
  uint64_t instance = 0;
  SegmentExtent extent;
  std::optional<uint64_t> first_number;  // of its first block, when it has one
  uint64_t bytes = 0;                    // of its blocks
};

struct LoadedWal {
  std::optional<WalMarker> marker;
  std::map<SegmentKey, LoadedSegment> segments;
  std::map<PartitionId, Epoch> fences;
  std::vector<WalDebris> debris;
  uint64_t next_number = 1;
  uint64_t next_instance = 1;
};

// DATA_LOSS: something is unreadable, or a segment has a hole.
absl::StatusOr<LoadedWal> LoadWal(const RocksHandles& rocks);

}  // namespace forebay
