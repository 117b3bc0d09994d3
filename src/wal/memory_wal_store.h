// MemoryWalStore: the test double of WalStore, for tests and the simulation. No threads and no
// files: a disk is an object that outlives the store, so a crash is "destroy the store, open
// another one on the same disk", a power cut is PowerCut() before that, and a wiped disk is a new
// object.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "forebay/clock.h"
#include "runtime/executor.h"
#include "runtime/mutex.h"
#include "wal/wal_store.h"

namespace forebay {

// A segment as MemoryWalStore holds it.
struct MemorySegment {
  SegmentExtent extent;
  std::string snapshot;
  std::map<Offset, Block> blocks;  // by first offset
};

// All that a store holds, and the one place that knows what each write does to it.
struct MemoryWalState {
  std::map<SegmentKey, MemorySegment> segments;
  std::map<PartitionId, Epoch> fences;

  void Apply(const WalWrite& write);
  WalContent Content() const;
};

// What survives a crash. Not thread-safe; while a store is open on it, touch it where that store's
// executor runs.
struct MemoryDisk {
  std::optional<WalMarker> marker;  // nullopt until a store was opened here
  MemoryWalState durable;
  // Reads of these answer DATA_LOSS.
  std::set<std::pair<SegmentKey, Offset>> damaged_blocks;  // by first offset
  std::set<SegmentKey> damaged_snapshots;
  // The next store to open here finds damage: it keeps the content under a new incarnation.
  bool log_damaged = false;

  // What becomes durable; a restored block or snapshot is damaged no more.
  void Apply(const WalWrite& write);
};

// Where a MemoryWalStore works, and when.
struct MemoryWalRuntime {
  Executor& executor;
  const Clock& clock;
};

// Completions run on the executor, never inline; waiting batches share a sync, as in RocksWalStore.
// Destroying the store drops what is not durable, and its callbacks; do it from a task of the
// executor, or when the executor has stopped.
class MemoryWalStore final : public WalStore {
 public:
  // How long the next sync takes. Must not call the store.
  using SyncDelay = std::function<absl::Duration()>;

  // `new_incarnation` is taken when the disk is empty or damaged; not 0. FAILED_PRECONDITION: the
  // disk is another node's. What is referred to must outlive the store; one store per disk.
  static absl::StatusOr<std::unique_ptr<MemoryWalStore>> Open(
      MemoryWalRuntime runtime, MemoryDisk& disk, const NodeId& node, Incarnation new_incarnation,
      SyncDelay sync_delay = [] { return absl::ZeroDuration(); });
  ~MemoryWalStore() override;

  const WalMarker& marker() const override { return marker_; }
  const WalContent& content_at_open() const override { return content_at_open_; }
  void Write(std::vector<WalWrite> writes, Done done) override;
  absl::StatusOr<std::vector<StoredBlock>> Read(const SegmentKey& key, Offset from,
                                                size_t bytes_max) override;
  absl::StatusOr<std::string> ReadSnapshot(const SegmentKey& key) override;
  FileCheck CheckFiles(size_t bytes_max) override;
  WalStats stats() const override;

  // The first `batches_kept` of the batches that are not durable become so although nobody was told
  // (as when the power goes between the sync and its report); the rest is gone, and so are all
  // callbacks. The store does nothing more.
  void PowerCut(size_t batches_kept = 0);
  // The sync under way, or the next one, fails, and with it every later write.
  void FailNextSync();
  // Syncs hang until `stalled` is false again.
  void SetStalled(bool stalled);
  // Batches given to Write and neither durable nor refused yet.
  size_t queued_batches() const;

 private:
  struct Batch {
    std::vector<WalWrite> writes;
    Done done;
    uint64_t bytes = 0;
    absl::Time since;
  };
  // Tasks on the executor outlive the store when it is destroyed in a crash; they hold this weakly.
  struct Alive {
    MemoryWalStore* store;
  };

  MemoryWalStore(MemoryWalRuntime runtime, MemoryDisk& disk, SyncDelay sync_delay);
  void StartSync() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishSync();
  absl::Status FailureLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Executor& executor_;
  const Clock& clock_;
  MemoryDisk& disk_;
  const SyncDelay sync_delay_;
  WalMarker marker_;
  WalContent content_at_open_;
  const std::shared_ptr<Alive> alive_;

  mutable Mutex mutex_;
  // Durable state and queued batches together: what reads see.
  MemoryWalState view_ ABSL_GUARDED_BY(mutex_);
  std::vector<Batch> queue_ ABSL_GUARDED_BY(mutex_);
  size_t syncing_ ABSL_GUARDED_BY(mutex_) = 0;  // batches at the queue's head in the sync under way
  bool stalled_ ABSL_GUARDED_BY(mutex_) = false;
  bool sync_due_ ABSL_GUARDED_BY(mutex_) = false;  // finished while stalled
  bool fail_next_ ABSL_GUARDED_BY(mutex_) = false;
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
  bool power_is_cut_ ABSL_GUARDED_BY(mutex_) = false;
  WalStats stats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace forebay
