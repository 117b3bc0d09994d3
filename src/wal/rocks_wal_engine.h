// The implementation of RocksWalStore. Apart from rocks_wal_store.h so that no other room sees
// RocksDB; tests come in here, with a file system of their own.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "rocksdb/file_system.h"
#include "rocksdb/listener.h"
#include "runtime/mutex.h"
#include "runtime/real_clock.h"
#include "runtime/thread_executor.h"
#include "wal/rocks_opener.h"
#include "wal/rocks_wal_store.h"
#include "wal/wal_committer.h"
#include "wal/wal_directory.h"
#include "wal/wal_rebuild.h"
#include "wal/wal_scrub.h"
#include "wal/wal_segment_table.h"

namespace forebay {

struct IndexValue;
class WalReadCollector;

// What RocksDB reports from its own threads. Thread-safe.
class RocksEvents final : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* status) override;
  void OnFlushCompleted(rocksdb::DB* db, const rocksdb::FlushJobInfo& info) override;

  absl::Status background_error() const;
  // True once after each flush.
  bool TakeFlushed();

 private:
  mutable Mutex mutex_;
  absl::Status background_error_ ABSL_GUARDED_BY(mutex_);
  bool flushed_ ABSL_GUARDED_BY(mutex_) = false;
};

class RocksWalEngine final : public RocksWalStore {
 public:
  static absl::StatusOr<std::unique_ptr<RocksWalEngine>> Open(
      const RocksWalOptions& options, std::shared_ptr<rocksdb::FileSystem> files);
  ~RocksWalEngine() override;

  const WalMarker& marker() const override { return opened_.marker; }
  const WalContent& content_at_open() const override { return content_at_open_; }
  void Write(std::vector<WalWrite> writes, Done done) override;
  absl::StatusOr<std::vector<StoredBlock>> Read(const SegmentKey& key, Offset from,
                                                size_t bytes_max) override;
  absl::StatusOr<std::string> ReadSnapshot(const SegmentKey& key) override;
  FileCheck CheckFiles(size_t bytes_max) override;
  WalStats stats() const override;

 private:
  struct Batch {
    uint64_t ticket = 0;
    std::vector<AcceptedWrite> writes;
    Done done;
    uint64_t bytes = 0;
    absl::Time since;
  };
  // What the table says about a segment, and its blocks that wait for their sync.
  struct View {
    uint64_t instance = 0;
    SegmentExtent extent;
    std::vector<StoredBlock> pending;
  };

  RocksWalEngine(const RocksWalOptions& options, OpenedWal opened,
                 std::shared_ptr<RocksEvents> events);
  void CommitWaiting();
  bool CommitOneGroup();  // false: nothing waits
  bool TakeGroup(std::vector<Batch>& group) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status CommitGroup(std::vector<Batch>& group) ABSL_LOCKS_EXCLUDED(mutex_);
  // On the commit thread: the files are damaged, so the store is rebuilt, for the next opening,
  // and this one ends.
  void Rebuild(const std::string& why) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status TryRebuild(const std::string& why);
  bool HasRoomToRebuild() const;
  // OK while nothing went wrong in the background.
  absl::Status CheckBackground() ABSL_LOCKS_EXCLUDED(mutex_);
  // Makes the failure the store's, if it is the first, and returns the store's.
  absl::Status Fail(const absl::Status& cause) ABSL_LOCKS_EXCLUDED(mutex_);

  // OK while the store has not failed.
  absl::Status Working() const ABSL_LOCKS_EXCLUDED(mutex_);
  // NOT_FOUND: `from` is not held.
  absl::StatusOr<View> ViewOf(const SegmentKey& key, Offset from) const ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status ReadStored(const SegmentKey& key, const View& view,
                          WalReadCollector& collector) const;
  absl::StatusOr<Block> ReadBlock(const IndexValue& index) const;
  absl::Status Excuse(const absl::Status& status, const SegmentKey& key, const View& view,
                      Offset from) const;
  static absl::Status FromRead(const rocksdb::Status& status);

  const RealClock clock_;
  const std::string directory_;
  const size_t memtable_bytes_;
  const WalDirectory paths_;
  const uint64_t group_bytes_max_;
  const std::shared_ptr<RocksEvents> events_;  // shared with RocksDB
  OpenedWal opened_;
  WalContent content_at_open_;
  WalCommitter committer_;   // of the commit thread
  WalScrub scrub_;           // of the caller of CheckFiles
  bool rebuilding_ = false;  // of the commit thread: it was tried

  mutable Mutex mutex_;
  WalSegmentTable table_ ABSL_GUARDED_BY(mutex_);
  std::deque<Batch> queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_ticket_ ABSL_GUARDED_BY(mutex_) = 1;
  bool commit_is_posted_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Time> committing_since_ ABSL_GUARDED_BY(mutex_);  // the oldest in the group
  WalStats stats_ ABSL_GUARDED_BY(mutex_);

  ThreadExecutor commit_thread_;  // last: it ends before what it works on
};

}  // namespace forebay
