#include "wal/rocks_options.h"

#include "absl/strings/str_cat.h"
#include "rocksdb/cache.h"
#include "rocksdb/table.h"
#include "rocksdb/utilities/table_properties_collectors.h"
#include "wal/table_checksum.h"

namespace forebay {
namespace {

constexpr size_t kCacheBytes = 32 << 20;
// Three: one that takes writes, one that is flushed, one for when the disk is slow for a while.
constexpr int kMemtables = 3;
constexpr uint64_t kTebibyte = uint64_t{1} << 40;

rocksdb::ColumnFamilyOptions Family(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions options;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  // Memory must not grow with the backlog (G9), so the files' own indexes live in the cache too.
  table.cache_index_and_filter_blocks = true;
  table.block_size = 16 << 10;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.compression = rocksdb::kNoCompression;
  options.paranoid_file_checks = false;  // reads verify; a second pass over each file costs I/O
  options.max_write_buffer_number = kMemtables;
  return options;
}

rocksdb::ColumnFamilyOptions BlocksFamily(const std::shared_ptr<rocksdb::Cache>& cache,
                                          size_t memtable_bytes) {
  rocksdb::ColumnFamilyOptions options = Family(cache);
  options.write_buffer_size = memtable_bytes;
  // A file for each memtable: their keys do not overlap, so files go down by moves, not by copies.
  options.target_file_size_base = memtable_bytes;
  options.max_bytes_for_level_base = 8 * memtable_bytes;
  // What compaction writes is there twice until it is done: at a full disk it must fit into the
  // reserve (DiskOptions::reserve_bytes), which allows for this, level 1 and the memtables.
  options.max_compaction_bytes = 6 * memtable_bytes;
  // A backlog is not a compaction debt to slow writes for:
  // docs/design/storage.md#rocksdb-settings
  options.soft_pending_compaction_bytes_limit = kTebibyte;
  options.hard_pending_compaction_bytes_limit = 2 * kTebibyte;
  options.level0_slowdown_writes_trigger = 40;
  options.level0_stop_writes_trigger = 60;
  // Files that are mostly deletions are compacted soon, so that space comes back (H19). The
  // window is in keys: a memtable of 64 MiB holds some thousand blocks.
  options.table_properties_collector_factories.push_back(
      rocksdb::NewCompactOnDeletionCollectorFactory(256, 128, 0.5));
  return options;
}

}  // namespace

rocksdb::DBOptions RocksOptions(rocksdb::Env* env, size_t memtable_bytes,
                                std::shared_ptr<rocksdb::EventListener> listener) {
  rocksdb::DBOptions options;
  options.env = env;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  if (listener != nullptr) options.listeners.push_back(std::move(listener));
  options.paranoid_checks = true;
  // After a background error RocksDB would resume by itself: for us any of them is fatal (16).
  options.max_bgerror_resume_count = 0;
  // The families speak about each other, so they are flushed together.
  options.atomic_flush = true;
  options.max_total_wal_size = 4 * memtable_bytes;
  // A log that the manifest knows and the disk lacks, or that is too short, is damage (17).
  options.track_and_verify_wals_in_manifest = true;
  options.wal_compression = rocksdb::kNoCompression;
  options.recycle_log_file_num = 0;
  options.manual_wal_flush = false;
  options.two_write_queues = false;
  // There is one writer, so none of RocksDB's writer concurrency is of use.
  options.allow_concurrent_memtable_write = false;
  options.enable_write_thread_adaptive_yield = false;
  // Under the manifest's checksum; RocksDB then mends the file IDENTITY when it opens.
  options.write_dbid_to_manifest = true;
  options.max_background_jobs = 2;
  options.max_subcompactions = 1;
  // File descriptors must not grow with the backlog either (G9).
  options.max_open_files = 256;
  options.max_file_opening_threads = 1;
  // A table leaves the page cache as it is written; at once at its end it would hold up the log's
  // syncs, which wait for what the file system has to write before.
  options.bytes_per_sync = 1 << 20;
  // An idle store writes nothing and wakes nobody.
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  // Of each whole table, in the manifest: the scrub compares (wal_scrub.h).
  options.file_checksum_gen_factory = TableChecksumFactory();
  options.keep_log_file_num = 3;
  options.max_log_file_size = 8 << 20;
  options.info_log_level = rocksdb::WARN_LEVEL;
  return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> RocksFamilies(size_t memtable_bytes) {
  const std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(kCacheBytes);
  return {{rocksdb::kDefaultColumnFamilyName, Family(cache)},
          {kBlocksFamily, BlocksFamily(cache, memtable_bytes)},
          {kIndexFamily, Family(cache)},
          {kStateFamily, Family(cache)}};
}

absl::Status FromRocks(const rocksdb::Status& status, const std::string& what) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat(what, ": ", status.ToString());
  return status.IsCorruption() ? absl::DataLossError(message) : absl::UnavailableError(message);
}

}  // namespace forebay
