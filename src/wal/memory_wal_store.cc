#include "wal/memory_wal_store.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace forebay {
namespace {

constexpr size_t kReadBlocksMax = 64;  // as wal_store.h says

uint64_t BlockBytes(const std::vector<WalWrite>& writes) {
  uint64_t bytes = 0;
  for (const WalWrite& write : writes) {
    if (const auto* append = std::get_if<AppendBlock>(&write))
      bytes += append->block.bytes().size();
  }
  return bytes;
}

// One overload for each write.
class Applier {
 public:
  explicit Applier(MemoryWalState& state) : state_(state) {}

  void operator()(const OpenSegment& open) const {
    const bool is_new =
        state_.segments
            .try_emplace(open.key, MemorySegment{{open.start, open.start}, open.snapshot, {}})
            .second;
    FOREBAY_CHECK(is_new, "segment opened twice: " + open.key.ToString());
  }
  void operator()(const AppendBlock& append) const {
    MemorySegment& segment = Find(append.key);
    FOREBAY_CHECK(append.first == segment.extent.tail,
                  "append that is not at the tail of " + append.key.ToString());
    segment.blocks.emplace(append.first, append.block);
    segment.extent.tail = append.first + append.block.event_count();
  }
  void operator()(const RaiseFence& raise) const {
    Epoch& fence = state_.fences[raise.partition];
    fence = std::max(fence, raise.fence);
  }
  void operator()(const TrimSegment& trim) const {
    MemorySegment& segment = Find(trim.key);
    FOREBAY_CHECK(trim.start >= segment.extent.start && trim.start <= segment.extent.tail,
                  "trim outside of " + trim.key.ToString());
    const auto keep = segment.blocks.lower_bound(trim.start);
    FOREBAY_CHECK(trim.start == segment.extent.tail ||
                      (keep != segment.blocks.end() && keep->first == trim.start) ||
                      trim.start == segment.extent.start,
                  "trim inside a block of " + trim.key.ToString());
    segment.blocks.erase(segment.blocks.begin(), keep);
    segment.extent.start = trim.start;
    segment.snapshot = trim.snapshot;
  }
  void operator()(const DropSegment& drop) const { state_.segments.erase(drop.key); }
  // What is held stays the same; only the disk knows what was damaged.
  void operator()(const RestoreBlock&) const {}
  void operator()(const RestoreSnapshot& restore) const {
    MemorySegment& segment = Find(restore.key);
    FOREBAY_CHECK(restore.start == segment.extent.start,
                  "snapshot that is not at the start of " + restore.key.ToString());
    segment.snapshot = restore.snapshot;
  }

 private:
  MemorySegment& Find(const SegmentKey& key) const {
    const auto found = state_.segments.find(key);
    FOREBAY_CHECK(found != state_.segments.end(), "write to a segment not open: " + key.ToString());
    return found->second;
  }
  MemoryWalState& state_;
};

}  // namespace

void MemoryWalState::Apply(const WalWrite& write) { std::visit(Applier(*this), write); }

WalContent MemoryWalState::Content() const {
  WalContent content;
  content.fences = fences;
  for (const auto& [key, segment] : segments) content.segments[key] = segment.extent;
  return content;
}

void MemoryDisk::Apply(const WalWrite& write) {
  durable.Apply(write);
  if (const auto* restore = std::get_if<RestoreBlock>(&write)) {
    const auto segment = durable.segments.find(restore->key);
    if (segment == durable.segments.end()) return;
    const auto block = segment->second.blocks.find(restore->first);
    if (block == segment->second.blocks.end()) return;
    if (block->second.checksum() != restore->block.checksum()) return;
    damaged_blocks.erase({restore->key, restore->first});
  } else if (const auto* snapshot = std::get_if<RestoreSnapshot>(&write)) {
    damaged_snapshots.erase(snapshot->key);
  } else if (const auto* trim = std::get_if<TrimSegment>(&write)) {
    damaged_snapshots.erase(trim->key);
  } else if (const auto* drop = std::get_if<DropSegment>(&write)) {
    damaged_snapshots.erase(drop->key);
    std::erase_if(damaged_blocks, [&](const auto& at) { return at.first == drop->key; });
  }
}

absl::StatusOr<std::unique_ptr<MemoryWalStore>> MemoryWalStore::Open(MemoryWalRuntime runtime,
                                                                     MemoryDisk& disk,
                                                                     const NodeId& node,
                                                                     Incarnation new_incarnation,
                                                                     SyncDelay sync_delay) {
  FOREBAY_CHECK(new_incarnation.value() != 0, "incarnation 0 stands for none");
  if (disk.marker.has_value() && disk.marker->node != node) {
    return absl::FailedPreconditionError(absl::StrCat("the disk belongs to node ",
                                                      disk.marker->node.value(), ", not to ",
                                                      node.value(), ": give each node its own"));
  }
  if (!disk.marker.has_value() || disk.log_damaged) {
    disk.marker = WalMarker{node, new_incarnation};
    disk.log_damaged = false;
  }
  std::unique_ptr<MemoryWalStore> store(new MemoryWalStore(runtime, disk, std::move(sync_delay)));
  return store;
}

MemoryWalStore::MemoryWalStore(MemoryWalRuntime runtime, MemoryDisk& disk, SyncDelay sync_delay)
    : executor_(runtime.executor),
      clock_(runtime.clock),
      disk_(disk),
      sync_delay_(std::move(sync_delay)),
      marker_(*disk.marker),
      content_at_open_(disk.durable.Content()),
      alive_(std::make_shared<Alive>(Alive{this})),
      view_(disk.durable) {}

MemoryWalStore::~MemoryWalStore() = default;

void MemoryWalStore::Write(std::vector<WalWrite> writes, Done done) {
  MutexLock lock(mutex_);
  if (power_is_cut_) return;
  const uint64_t bytes = BlockBytes(writes);
  if (!failed_) {
    for (const WalWrite& write : writes) view_.Apply(write);
    stats_.appended_bytes += bytes;
  }
  stats_.queued_bytes += bytes;
  queue_.push_back(Batch{std::move(writes), std::move(done), bytes, clock_.Now()});
  if (syncing_ == 0) StartSync();
}

void MemoryWalStore::StartSync() {
  syncing_ = queue_.size();
  executor_.PostAfter(sync_delay_(), [alive = std::weak_ptr<Alive>(alive_)] {
    if (const auto locked = alive.lock()) locked->store->FinishSync();
  });
}

void MemoryWalStore::FinishSync() {
  std::vector<Batch> finished;
  absl::Status status;
  {
    MutexLock lock(mutex_);
    if (power_is_cut_) return;
    if (stalled_) {
      sync_due_ = true;
      return;
    }
    if (fail_next_) failed_ = true;
    status = FailureLocked();
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(syncing_);
    finished.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
    queue_.erase(queue_.begin(), end);
    for (const Batch& batch : finished) {
      stats_.queued_bytes -= batch.bytes;
      if (!status.ok()) continue;
      for (const WalWrite& write : batch.writes) disk_.Apply(write);
    }
    if (status.ok()) ++stats_.syncs;
    syncing_ = 0;
    if (!queue_.empty()) StartSync();
  }
  // A callback may destroy this store: nothing of it is touched from here on.
  for (Batch& batch : finished) batch.done(status);
}

absl::StatusOr<std::vector<StoredBlock>> MemoryWalStore::Read(const SegmentKey& key, Offset from,
                                                              size_t bytes_max) {
  MutexLock lock(mutex_);
  FOREBAY_RETURN_IF_ERROR(FailureLocked());
  const auto found = view_.segments.find(key);
  if (found == view_.segments.end()) {
    return absl::NotFoundError(absl::StrCat("no segment ", key.ToString()));
  }
  const MemorySegment& segment = found->second;
  if (from < segment.extent.start || from >= segment.extent.tail) {
    return absl::NotFoundError(
        absl::StrCat("offset ", from.value(), " of ", key.ToString(), " is outside of the stored [",
                     segment.extent.start.value(), ", ", segment.extent.tail.value(), ")"));
  }
  auto at = std::prev(segment.blocks.upper_bound(from));  // the block that holds `from`
  std::vector<StoredBlock> out;
  size_t bytes = 0;
  for (; at != segment.blocks.end() && out.size() < kReadBlocksMax; ++at) {
    if (disk_.damaged_blocks.contains({key, at->first})) {
      if (!out.empty()) break;  // what is before it can be used
      return absl::DataLossError(absl::StrCat("the block at offset ", at->first.value(), " of ",
                                              key.ToString(), " is damaged"));
    }
    bytes += at->second.bytes().size();
    if (!out.empty() && bytes > bytes_max) break;
    out.push_back({at->first, at->second});
  }
  return out;
}

absl::StatusOr<std::string> MemoryWalStore::ReadSnapshot(const SegmentKey& key) {
  MutexLock lock(mutex_);
  FOREBAY_RETURN_IF_ERROR(FailureLocked());
  const auto found = view_.segments.find(key);
  if (found == view_.segments.end()) {
    return absl::NotFoundError(absl::StrCat("no segment ", key.ToString()));
  }
  if (disk_.damaged_snapshots.contains(key)) {
    return absl::DataLossError(absl::StrCat("the snapshot of ", key.ToString(), " is damaged"));
  }
  return found->second.snapshot;
}

FileCheck MemoryWalStore::CheckFiles(size_t) { return {.pass_done = true, .status = {}}; }

WalStats MemoryWalStore::stats() const {
  MutexLock lock(mutex_);
  WalStats stats = stats_;
  if (!queue_.empty()) stats.oldest_wait = clock_.Now() - queue_.front().since;
  return stats;
}

void MemoryWalStore::PowerCut(size_t batches_kept) {
  std::vector<Batch> gone;  // destroyed outside of the lock: callbacks own things
  MutexLock lock(mutex_);
  power_is_cut_ = true;
  if (!failed_) {
    for (size_t i = 0; i < std::min(batches_kept, queue_.size()); ++i) {
      for (const WalWrite& write : queue_[i].writes) disk_.Apply(write);
    }
  }
  gone.swap(queue_);
}

void MemoryWalStore::FailNextSync() {
  MutexLock lock(mutex_);
  fail_next_ = true;
}

void MemoryWalStore::SetStalled(bool stalled) {
  MutexLock lock(mutex_);
  stalled_ = stalled;
  if (stalled || !sync_due_) return;
  sync_due_ = false;
  executor_.Post([alive = std::weak_ptr<Alive>(alive_)] {
    if (const auto locked = alive.lock()) locked->store->FinishSync();
  });
}

size_t MemoryWalStore::queued_batches() const {
  MutexLock lock(mutex_);
  return queue_.size();
}

absl::Status MemoryWalStore::FailureLocked() const {
  if (power_is_cut_) return absl::UnavailableError("the store lost its power");
  if (!failed_) return absl::OkStatus();
  return absl::UnavailableError("the write-ahead log has failed; open it again");
}

}  // namespace forebay
