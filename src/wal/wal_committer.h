// WalCommitter: turns accepted writes into RocksDB write batches, one sync for each group, and
// gives the space of trimmed blocks back.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "rocksdb/write_batch.h"
#include "wal/sync_mark.h"
#include "wal/wal_loader.h"
#include "wal/wal_segment_table.h"

namespace forebay {

// Confined to the store's commit thread.
class WalCommitter {
 public:
  // All references must outlive it.
  WalCommitter(RocksHandles& rocks, SyncMark& mark, Incarnation incarnation,
               const LoadedWal& loaded, size_t memtable_bytes);

  // Makes the writes durable, in order and all or none. An error is final: the outcome is unknown,
  // and nothing may be committed after it.
  absl::Status Commit(const std::vector<AcceptedWrite>& writes);

  // Writes the sync mark again, durably.
  absl::Status WriteMark();

  // For a moment without writes: deletes what is left of trimmed and dropped segments, if it is
  // much.
  absl::Status CleanUp();

  // RocksDB has flushed: what was appended before is in files.
  void OnFlushed();

 private:
  // Of a segment that is open.
  struct Life {
    SegmentExtent extent;
    uint64_t bytes = 0;  // of its blocks, about
    // Of its first block, or of one before; nullopt: it has none in the store.
    std::optional<uint64_t> first_number;
  };

  absl::Status Add(const AcceptedWrite& accepted, rocksdb::WriteBatch& batch);
  absl::Status AddAppend(const AppendBlock& append, uint64_t instance, rocksdb::WriteBatch& batch);
  absl::Status AddRestore(const RestoreBlock& restore, uint64_t instance,
                          rocksdb::WriteBatch& batch);
  absl::Status AddTrim(const TrimSegment& trim, uint64_t instance, rocksdb::WriteBatch& batch);
  absl::Status CheckTrimPoint(const TrimSegment& trim, uint64_t instance);
  absl::Status PutSegment(const SegmentKey& key, uint64_t instance, Offset start,
                          const std::string& snapshot, rocksdb::WriteBatch& batch);
  absl::Status AddDeletions(rocksdb::WriteBatch& batch);
  absl::Status DeleteDebris(WalDebris& debris, rocksdb::Iterator& index,
                            rocksdb::WriteBatch& batch);
  bool HasMuchDebris() const;
  absl::Status WriteDurably(rocksdb::WriteBatch& batch);
  absl::Status GiveSpaceBack();

  RocksHandles& rocks_;
  SyncMark& mark_;
  const Incarnation incarnation_;
  const size_t memtable_bytes_;

  uint64_t next_number_;
  std::map<uint64_t, Life> lives_;  // by instance
  std::map<PartitionId, Epoch> fences_;
  std::deque<WalDebris> debris_;
  size_t debris_budget_ = 0;  // entries that the batch being made may still delete
  // What the batch being made appends, where the index does not have it yet.
  std::set<std::pair<uint64_t, Offset>> appended_;
  uint64_t flushed_below_;            // blocks with a lower number are in files
  uint64_t dead_bytes_ = 0;           // deleted since space was last given back
  uint64_t dead_bytes_in_files_ = 0;  // of blocks in files, deleted since the last flush
  bool mark_is_old_ = false;          // a flush was completed since the mark was last synced
};

}  // namespace forebay
