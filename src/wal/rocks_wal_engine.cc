#include "wal/rocks_wal_engine.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "runtime/log.h"
#include "wal/rocks_options.h"
#include "wal/wal_keys.h"

namespace forebay {
namespace {

constexpr size_t kMemtableBytesMin = 1 << 20;

WalContent ContentOf(const LoadedWal& loaded) {
  WalContent content;
  content.fences = loaded.fences;
  for (const auto& [key, segment] : loaded.segments) content.segments[key] = segment.extent;
  return content;
}

absl::Status CheckOptions(const RocksWalOptions& options) {
  if (options.directory.empty()) {
    return absl::InvalidArgumentError("the write-ahead log's directory is empty: set it");
  }
  if (options.node.empty()) return absl::InvalidArgumentError("the node id is empty: set it");
  if (options.new_incarnation.value() == 0) {
    return absl::InvalidArgumentError("the new incarnation is 0, which stands for none");
  }
  if (options.memtable_bytes < kMemtableBytesMin) {
    return absl::InvalidArgumentError(absl::StrCat("memtable_bytes is ", options.memtable_bytes,
                                                   ", but must be at least ", kMemtableBytesMin));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RocksWalStore>> RocksWalStore::Open(const RocksWalOptions& options) {
  return RocksWalEngine::Open(options, rocksdb::FileSystem::Default());
}

void RocksEvents::OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) {
  MutexLock lock(mutex_);
  if (background_error_.ok()) background_error_ = FromRocks(*status, "in the background");
}

void RocksEvents::OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) {
  MutexLock lock(mutex_);
  flushed_ = true;
}

absl::Status RocksEvents::background_error() const {
  MutexLock lock(mutex_);
  return background_error_;
}

bool RocksEvents::TakeFlushed() {
  MutexLock lock(mutex_);
  return std::exchange(flushed_, false);
}

absl::StatusOr<std::unique_ptr<RocksWalEngine>> RocksWalEngine::Open(
    const RocksWalOptions& options, std::shared_ptr<rocksdb::FileSystem> files) {
  FOREBAY_RETURN_IF_ERROR(CheckOptions(options));
  const auto events = std::make_shared<RocksEvents>();
  absl::StatusOr<OpenedWal> opened = OpenWal(options, std::move(files), events);
  if (!opened.ok()) return WithContext(opened.status(), "open the write-ahead log");
  return std::unique_ptr<RocksWalEngine>(new RocksWalEngine(options, *std::move(opened), events));
}

RocksWalEngine::RocksWalEngine(const RocksWalOptions& options, OpenedWal opened,
                               std::shared_ptr<RocksEvents> events)
    : directory_(options.directory),
      memtable_bytes_(options.memtable_bytes),
      paths_(opened.files, options.directory),
      group_bytes_max_(options.memtable_bytes / 10),  // design section 5
      events_(std::move(events)),
      opened_(std::move(opened)),
      content_at_open_(ContentOf(opened_.loaded)),
      committer_(*opened_.rocks, *opened_.mark, opened_.marker.incarnation, opened_.loaded,
                 options.memtable_bytes),
      scrub_(opened_.files, paths_, *opened_.rocks),
      table_(opened_.loaded),
      commit_thread_("wal-commit") {}

RocksWalEngine::~RocksWalEngine() {
  commit_thread_.Post([this] {
    while (CommitOneGroup()) {
    }
  });
  commit_thread_.Stop();
  const absl::Status synced = opened_.mark->Sync();
  if (!synced.ok()) Log(LogLevel::kWarning, absl::StrCat(directory_, ": ", synced.message()));
}

void RocksWalEngine::Write(std::vector<WalWrite> writes, Done done) {
  MutexLock lock(mutex_);
  Batch batch;
  batch.ticket = next_ticket_++;
  batch.done = std::move(done);
  batch.since = clock_.Now();
  if (failure_.ok()) {
    batch.writes.reserve(writes.size());
    for (WalWrite& write : writes) {
      if (const auto* append = std::get_if<AppendBlock>(&write)) {
        batch.bytes += append->block.bytes().size();
      }
      batch.writes.push_back(table_.Accept(std::move(write), batch.ticket));
    }
  }
  stats_.appended_bytes += batch.bytes;
  stats_.queued_bytes += batch.bytes;
  queue_.push_back(std::move(batch));
  if (std::exchange(commit_is_posted_, true)) return;
  commit_thread_.Post([this] { CommitWaiting(); });
}

// Writes that never pause must not keep damaged files from being written anew, so the next group
// comes behind what else was posted.
void RocksWalEngine::CommitWaiting() {
  if (CommitOneGroup()) {
    commit_thread_.Post([this] { CommitWaiting(); });
    return;
  }
  // Its error is told to the next Write.
  if (CheckBackground().ok()) Fail(committer_.CleanUp()).IgnoreError();
}

bool RocksWalEngine::CommitOneGroup() {
  std::vector<Batch> group;
  if (!TakeGroup(group)) return false;
  const absl::Status status = CommitGroup(group);
  for (Batch& batch : group) batch.done(status);
  return true;
}

bool RocksWalEngine::TakeGroup(std::vector<Batch>& group) {
  group.clear();
  MutexLock lock(mutex_);
  uint64_t bytes = 0;
  while (!queue_.empty() && (group.empty() || bytes + queue_.front().bytes <= group_bytes_max_)) {
    bytes += queue_.front().bytes;
    group.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  if (!group.empty()) committing_since_ = group.front().since;
  commit_is_posted_ = !group.empty();
  return commit_is_posted_;
}

absl::Status RocksWalEngine::CommitGroup(std::vector<Batch>& group) {
  std::vector<AcceptedWrite> writes;
  uint64_t bytes = 0;
  for (Batch& batch : group) {
    std::move(batch.writes.begin(), batch.writes.end(), std::back_inserter(writes));
    bytes += batch.bytes;
  }
  absl::Status status = CheckBackground();
  if (status.ok()) {
    if (events_->TakeFlushed()) committer_.OnFlushed();
    status = Fail(committer_.Commit(writes));
  }
  MutexLock lock(mutex_);
  stats_.queued_bytes -= bytes;
  committing_since_.reset();
  if (!status.ok()) return status;
  ++stats_.syncs;
  table_.Release(writes, group.back().ticket);
  return status;
}

absl::Status RocksWalEngine::Fail(const absl::Status& cause) {
  bool is_first = false;
  absl::Status failure;
  {
    MutexLock lock(mutex_);
    if (failure_.ok() && !cause.ok()) {
      is_first = true;
      failure_ = absl::UnavailableError(absl::StrCat(
          "the write-ahead log in ", directory_, " has failed and takes no more writes (",
          cause.message(), "): check the disk and its free space, then restart the node"));
    }
    failure = failure_;
  }
  if (is_first) Log(LogLevel::kError, std::string(failure.message()));
  return failure;
}

WalStats RocksWalEngine::stats() const {
  MutexLock lock(mutex_);
  WalStats stats = stats_;
  if (committing_since_.has_value()) {
    stats.oldest_wait = clock_.Now() - *committing_since_;
  } else if (!queue_.empty()) {
    stats.oldest_wait = clock_.Now() - queue_.front().since;
  }
  return stats;
}

}  // namespace forebay
