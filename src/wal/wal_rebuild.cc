#include "wal/wal_rebuild.h"

#include <memory>
#include <vector>

#include "base/status.h"
#include "rocksdb/write_batch.h"
#include "wal/rocks_options.h"
#include "wal/wal_keys.h"

namespace forebay {
namespace {

constexpr size_t kBatchBytes = 1 << 20;

class Rebuilder {
 public:
  Rebuilder(const RocksHandles& from, RocksHandles& to) : from_(from), to_(to) {
    // What is flushed at the end needs no log.
    write_options_.disableWAL = true;
  }

  absl::StatusOr<RebuiltWal> Copy() {
    FOREBAY_RETURN_IF_ERROR(CopyState());
    FOREBAY_RETURN_IF_ERROR(CopyBlocks());
    FOREBAY_RETURN_IF_ERROR(Write());
    rocksdb::FlushOptions flush;
    flush.allow_write_stall = true;
    FOREBAY_RETURN_IF_ERROR(
        FromRocks(to_.db->Flush(flush, {to_.blocks, to_.index, to_.state}), "flush the new store"));
    return counts_;
  }

 private:
  absl::Status CopyState() {
    const std::unique_ptr<rocksdb::Iterator> scan(
        from_.db->NewIterator(read_options_, from_.state));
    for (scan->SeekToFirst(); scan->Valid(); scan->Next()) {
      FOREBAY_RETURN_IF_ERROR(Put(to_.state, scan->key(), scan->value()));
    }
    return FromRocks(scan->status(), "read the state");
  }

  absl::Status CopyBlocks() {
    const std::unique_ptr<rocksdb::Iterator> scan(
        from_.db->NewIterator(read_options_, from_.index));
    for (scan->SeekToFirst(); scan->Valid(); scan->Next()) {
      const auto value = DecodeIndexValue(scan->value().ToStringView());
      if (!value) return absl::DataLossError("unreadable index record");
      FOREBAY_RETURN_IF_ERROR(Put(to_.index, scan->key(), scan->value()));
      std::string bytes;
      const std::string number = EncodeNumber(value->number);
      if (from_.db->Get(read_options_, from_.blocks, number, &bytes).ok()) {
        counts_.blocks++;
        FOREBAY_RETURN_IF_ERROR(Put(to_.blocks, number, bytes));
      } else {
        counts_.unreadable++;
      }
    }
    return FromRocks(scan->status(), "read the index");
  }

  absl::Status Put(rocksdb::ColumnFamilyHandle* family, const rocksdb::Slice& key,
                   const rocksdb::Slice& value) {
    FOREBAY_RETURN_IF_ERROR(FromRocks(batch_.Put(family, key, value), "copy the store"));
    return batch_.GetDataSize() < kBatchBytes ? absl::OkStatus() : Write();
  }

  absl::Status Write() {
    const rocksdb::Status status = to_.db->Write(write_options_, &batch_);
    batch_.Clear();
    return FromRocks(status, "write the new store");
  }

  const RocksHandles& from_;
  RocksHandles& to_;
  rocksdb::ReadOptions read_options_ = [] {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    return options;
  }();
  rocksdb::WriteOptions write_options_;
  rocksdb::WriteBatch batch_;
  RebuiltWal counts_;
};

}  // namespace

absl::StatusOr<RebuiltWal> RebuildWal(const RocksHandles& from, rocksdb::Env* env,
                                      const std::string& path, size_t memtable_bytes) {
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::DBOptions options = RocksOptions(env, memtable_bytes, nullptr);
  FOREBAY_RETURN_IF_ERROR(
      FromRocks(rocksdb::DB::Open(options, path, RocksFamilies(memtable_bytes), &handles, &db),
                "create " + path));
  RocksHandles to;
  to.db.reset(db);
  to.unused = handles[0];
  to.blocks = handles[1];
  to.index = handles[2];
  to.state = handles[3];
  return Rebuilder(from, to).Copy();
}

}  // namespace forebay
