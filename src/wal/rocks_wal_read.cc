// The reads of RocksWalEngine. What is not in RocksDB yet comes from the table; a block that moves
// from there into RocksDB during a read is found in at least one of the two, because the table is
// looked at first.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "wal/rocks_options.h"
#include "wal/rocks_wal_engine.h"
#include "wal/wal_keys.h"

namespace forebay {
namespace {

constexpr size_t kReadBlocksMax = 64;  // as wal_store.h says

std::string At(const SegmentKey& key, Offset offset) {
  return absl::StrCat("the block at offset ", offset.value(), " of ", key.ToString());
}

}  // namespace

// Collects blocks until the limits of a Read are reached.
class WalReadCollector {
 public:
  WalReadCollector(Offset from, size_t bytes_max) : next_(from), bytes_max_(bytes_max) {}

  Offset next() const { return next_; }
  bool empty() const { return blocks_.empty(); }
  // The block at `first` holds the offset asked for inside of it.
  void BeginAt(Offset first) { next_ = first; }
  bool Fits(size_t bytes) const {
    return blocks_.empty() || (blocks_.size() < kReadBlocksMax && bytes_ + bytes <= bytes_max_);
  }
  void Add(StoredBlock stored) {
    bytes_ += stored.block.bytes().size();
    next_ = stored.end();
    blocks_.push_back(std::move(stored));
  }
  std::vector<StoredBlock> Take() { return std::move(blocks_); }

 private:
  Offset next_;
  const size_t bytes_max_;
  size_t bytes_ = 0;
  std::vector<StoredBlock> blocks_;
};

absl::Status RocksWalEngine::Working() const {
  const absl::Status background = events_->background_error();
  MutexLock lock(mutex_);
  if (!failure_.ok()) return failure_;
  if (background.ok()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the write-ahead log in ", directory_, " has failed: ", background.message()));
}

absl::StatusOr<RocksWalEngine::View> RocksWalEngine::ViewOf(const SegmentKey& key,
                                                            Offset from) const {
  MutexLock lock(mutex_);
  const WalSegmentTable::Segment* segment = table_.Find(key);
  if (segment == nullptr) return absl::NotFoundError(absl::StrCat("no segment ", key.ToString()));
  if (from < segment->extent.start || from >= segment->extent.tail) {
    return absl::NotFoundError(
        absl::StrCat("offset ", from.value(), " of ", key.ToString(), " is outside of the stored [",
                     segment->extent.start.value(), ", ", segment->extent.tail.value(), ")"));
  }
  View view{segment->instance, segment->extent, {}};
  for (const WalSegmentTable::PendingBlock& pending : segment->pending) {
    if (pending.stored.end() <= from) continue;
    view.pending.push_back(pending.stored);
    if (view.pending.size() > kReadBlocksMax) break;
  }
  return view;
}

absl::StatusOr<std::vector<StoredBlock>> RocksWalEngine::Read(const SegmentKey& key, Offset from,
                                                              size_t bytes_max) {
  FOREBAY_RETURN_IF_ERROR(Working());
  absl::StatusOr<View> view = ViewOf(key, from);
  if (!view.ok()) return view.status();
  WalReadCollector collector(from, bytes_max);
  const absl::Status stored = ReadStored(key, *view, collector);
  if (!stored.ok()) {
    if (!collector.empty()) return collector.Take();
    return Excuse(stored, key, *view, from);
  }
  for (StoredBlock& pending : view->pending) {
    const bool inside = pending.first < collector.next() && collector.next() < pending.end();
    if (inside && collector.empty()) collector.BeginAt(pending.first);
    if (pending.first != collector.next()) continue;
    if (!collector.Fits(pending.block.bytes().size())) break;
    collector.Add(std::move(pending));
  }
  if (!collector.empty()) return collector.Take();
  return Excuse(absl::DataLossError(At(key, from) + " is missing"), key, *view, from);
}

// Adds what RocksDB has of the segment from collector.next() on, without a gap.
absl::Status RocksWalEngine::ReadStored(const SegmentKey& key, const View& view,
                                        WalReadCollector& collector) const {
  const std::string lower = EncodeIndexKey({view.instance, view.extent.start});
  const std::string upper = EncodeIndexKey({view.instance, view.extent.tail});
  const rocksdb::Slice lower_slice(lower);
  const rocksdb::Slice upper_slice(upper);
  rocksdb::ReadOptions options;
  options.iterate_lower_bound = &lower_slice;
  options.iterate_upper_bound = &upper_slice;
  const std::unique_ptr<rocksdb::Iterator> index(
      opened_.rocks->db->NewIterator(options, opened_.rocks->index));
  // The offset asked for may be inside of the block before.
  for (index->SeekForPrev(EncodeIndexKey({view.instance, collector.next()})); index->Valid();
       index->Next()) {
    const auto found = DecodeIndexKey(index->key().ToStringView());
    const auto value = DecodeIndexValue(index->value().ToStringView());
    if (!found || !value) return absl::DataLossError(At(key, collector.next()) + ": bad index");
    if (found->first + value->count <= collector.next()) continue;
    if (found->first < collector.next() && collector.empty()) collector.BeginAt(found->first);
    if (found->first != collector.next() || !collector.Fits(value->bytes)) break;
    absl::StatusOr<Block> block = ReadBlock(*value);
    if (!block.ok()) return WithContext(block.status(), At(key, found->first));
    collector.Add({found->first, *std::move(block)});
  }
  return FromRead(index->status());
}

absl::StatusOr<Block> RocksWalEngine::ReadBlock(const IndexValue& index) const {
  rocksdb::ReadOptions options;
  options.fill_cache = false;  // a block is read once, or a few times shortly after another
  std::string bytes;
  FOREBAY_RETURN_IF_ERROR(FromRead(
      opened_.rocks->db->Get(options, opened_.rocks->blocks, EncodeNumber(index.number), &bytes)));
  absl::StatusOr<Block> block = Block::Parse(std::move(bytes));
  if (!block.ok()) return absl::DataLossError(block.status().message());
  if (block->checksum() != index.checksum || block->event_count() != index.count) {
    return absl::DataLossError("it is not the block that was stored here");
  }
  return block;
}

absl::Status RocksWalEngine::FromRead(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  // Whatever keeps us from reading it, it is there (H3).
  return absl::DataLossError(absl::StrCat("cannot be read: ", status.ToString()));
}

// A block may be trimmed while it is read: then it is not lost.
absl::Status RocksWalEngine::Excuse(const absl::Status& status, const SegmentKey& key,
                                    const View& view, Offset from) const {
  if (!absl::IsDataLoss(status)) return status;
  const absl::StatusOr<View> now = ViewOf(key, from);
  if (!now.ok()) return now.status();
  if (now->instance != view.instance) {
    return absl::NotFoundError(absl::StrCat(key.ToString(), " was opened again"));
  }
  return status;
}

absl::StatusOr<std::string> RocksWalEngine::ReadSnapshot(const SegmentKey& key) {
  FOREBAY_RETURN_IF_ERROR(Working());
  {
    MutexLock lock(mutex_);
    const WalSegmentTable::Segment* segment = table_.Find(key);
    if (segment == nullptr) return absl::NotFoundError(absl::StrCat("no segment ", key.ToString()));
    if (segment->pending_snapshot) return segment->pending_snapshot->second;
  }
  std::string bytes;
  const absl::Status read =
      FromRead(opened_.rocks->db->Get({}, opened_.rocks->state, EncodeSegmentKey(key), &bytes));
  std::optional<SegmentValue> value = DecodeSegmentValue(bytes);
  if (read.ok() && value) return std::move(value->snapshot);
  MutexLock lock(mutex_);
  if (table_.Find(key) == nullptr) {
    return absl::NotFoundError(absl::StrCat("no segment ", key.ToString()));
  }
  return absl::DataLossError(absl::StrCat("the snapshot of ", key.ToString(), " cannot be read"));
}

}  // namespace forebay
