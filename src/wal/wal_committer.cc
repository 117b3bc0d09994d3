#include "wal/wal_committer.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "rocksdb/convenience.h"
#include "wal/rocks_options.h"
#include "wal/wal_keys.h"

namespace forebay {
namespace {

// So that dropping a large segment does not make one huge batch.
constexpr size_t kDeletionsPerBatch = 4096;
// Less can wait for the next write, and then costs no sync of its own.
constexpr uint64_t kDebrisBytesMax = 1 << 20;
constexpr Offset kAll(std::numeric_limits<uint64_t>::max());

rocksdb::Slice Slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

}  // namespace

WalCommitter::WalCommitter(RocksHandles& rocks, SyncMark& mark, Incarnation incarnation,
                           const LoadedWal& loaded, size_t memtable_bytes)
    : rocks_(rocks),
      mark_(mark),
      incarnation_(incarnation),
      memtable_bytes_(memtable_bytes),
      next_number_(loaded.next_number),
      fences_(loaded.fences),
      debris_(loaded.debris.begin(), loaded.debris.end()),
      flushed_below_(loaded.next_number) {
  for (const auto& [key, segment] : loaded.segments) {
    lives_[segment.instance] = {segment.extent, segment.bytes, segment.first_number};
  }
}

absl::Status WalCommitter::Commit(const std::vector<AcceptedWrite>& writes) {
  rocksdb::WriteBatch batch;
  appended_.clear();
  // First what earlier groups left: the index is read, and does not have this group yet.
  FOREBAY_RETURN_IF_ERROR(AddDeletions(batch));
  for (const AcceptedWrite& write : writes) FOREBAY_RETURN_IF_ERROR(Add(write, batch));
  FOREBAY_RETURN_IF_ERROR(WriteDurably(batch));
  return GiveSpaceBack();
}

absl::Status WalCommitter::WriteMark() {
  FOREBAY_RETURN_IF_ERROR(mark_.Write({incarnation_, rocks_.db->GetLatestSequenceNumber()}));
  return mark_.Sync();
}

absl::Status WalCommitter::CleanUp() {
  while (HasMuchDebris()) FOREBAY_RETURN_IF_ERROR(Commit({}));
  return absl::OkStatus();
}

bool WalCommitter::HasMuchDebris() const {
  uint64_t bytes = 0;
  for (const WalDebris& debris : debris_) bytes += debris.bytes;
  return bytes >= kDebrisBytesMax;
}

void WalCommitter::OnFlushed() {
  flushed_below_ = next_number_;
  dead_bytes_in_files_ = 0;
  mark_is_old_ = true;
}

absl::Status WalCommitter::Add(const AcceptedWrite& accepted, rocksdb::WriteBatch& batch) {
  const WalWrite& write = accepted.write;
  if (const auto* append = std::get_if<AppendBlock>(&write)) {
    return AddAppend(*append, accepted.instance, batch);
  }
  if (const auto* open = std::get_if<OpenSegment>(&write)) {
    lives_[accepted.instance] = {{open->start, open->start}, 0, std::nullopt};
    return PutSegment(open->key, accepted.instance, open->start, open->snapshot, batch);
  }
  if (const auto* trim = std::get_if<TrimSegment>(&write)) {
    return AddTrim(*trim, accepted.instance, batch);
  }
  if (const auto* raise = std::get_if<RaiseFence>(&write)) {
    Epoch& fence = fences_[raise->partition];
    if (raise->fence <= fence) return absl::OkStatus();
    fence = raise->fence;
    return FromRocks(
        batch.Put(rocks_.state, EncodeFenceKey(raise->partition), EncodeNumber(fence.value())),
        "raise a fence");
  }
  if (const auto* restore = std::get_if<RestoreBlock>(&write)) {
    return AddRestore(*restore, accepted.instance, batch);
  }
  if (const auto* restore = std::get_if<RestoreSnapshot>(&write)) {
    return PutSegment(restore->key, accepted.instance, restore->start, restore->snapshot, batch);
  }
  const auto& drop = std::get<DropSegment>(write);
  const auto life = lives_.find(accepted.instance);
  if (life == lives_.end()) return absl::OkStatus();
  debris_.push_back({accepted.instance, life->second.extent.start, kAll, life->second.bytes});
  lives_.erase(life);
  return FromRocks(batch.Delete(rocks_.state, EncodeSegmentKey(drop.key)), "drop a segment");
}

absl::Status WalCommitter::AddAppend(const AppendBlock& append, uint64_t instance,
                                     rocksdb::WriteBatch& batch) {
  const Block& block = append.block;
  const uint64_t number = next_number_++;
  const IndexValue value{number, block.event_count(), block.checksum(),
                         static_cast<uint32_t>(block.bytes().size())};
  rocksdb::Status status = batch.Put(rocks_.blocks, EncodeNumber(number), Slice(block.bytes()));
  if (status.ok()) {
    status =
        batch.Put(rocks_.index, EncodeIndexKey({instance, append.first}), EncodeIndexValue(value));
  }
  appended_.emplace(instance, append.first);
  Life& life = lives_.at(instance);
  life.extent.tail = append.first + block.event_count();
  life.bytes += block.bytes().size();
  if (!life.first_number) life.first_number = number;
  return FromRocks(status, "append a block");
}

// The index says what was stored there; only that is written again (G10).
absl::Status WalCommitter::AddRestore(const RestoreBlock& restore, uint64_t instance,
                                      rocksdb::WriteBatch& batch) {
  const auto life = lives_.find(instance);
  if (life == lives_.end() || restore.first < life->second.extent.start) return absl::OkStatus();
  std::string bytes;
  const rocksdb::Status read =
      rocks_.db->Get({}, rocks_.index, EncodeIndexKey({instance, restore.first}), &bytes);
  const std::optional<IndexValue> value = DecodeIndexValue(bytes);
  const Block& block = restore.block;
  if (!read.ok() || !value || value->checksum != block.checksum() ||
      value->count != block.event_count() || value->bytes != block.bytes().size()) {
    return absl::OkStatus();
  }
  return FromRocks(batch.Put(rocks_.blocks, EncodeNumber(value->number), Slice(block.bytes())),
                   "restore a block");
}

absl::Status WalCommitter::AddTrim(const TrimSegment& trim, uint64_t instance,
                                   rocksdb::WriteBatch& batch) {
  FOREBAY_RETURN_IF_ERROR(CheckTrimPoint(trim, instance));
  Life& life = lives_.at(instance);
  if (life.extent.start < trim.start) {
    const auto held = static_cast<double>(life.extent.tail.value() - life.extent.start.value());
    const auto goes = static_cast<double>(trim.start.value() - life.extent.start.value());
    const auto bytes = static_cast<uint64_t>(static_cast<double>(life.bytes) * (goes / held));
    debris_.push_back({instance, life.extent.start, trim.start, bytes});
    life.bytes -= std::min(bytes, life.bytes);
    life.extent.start = trim.start;
  }
  return PutSegment(trim.key, instance, trim.start, trim.snapshot, batch);
}

// The table has checked that it is inside the segment; only the index knows where blocks end.
absl::Status WalCommitter::CheckTrimPoint(const TrimSegment& trim, uint64_t instance) {
  if (trim.start == lives_.at(instance).extent.start ||
      appended_.contains({instance, trim.start})) {
    return absl::OkStatus();
  }
  std::unique_ptr<rocksdb::Iterator> index(rocks_.db->NewIterator({}, rocks_.index));
  index->SeekForPrev(EncodeIndexKey({instance, trim.start}));
  FOREBAY_RETURN_IF_ERROR(FromRocks(index->status(), "look up a trim point"));
  if (!index->Valid()) return absl::OkStatus();  // all its blocks are in this group
  const auto key = DecodeIndexKey(index->key().ToStringView());
  const auto value = DecodeIndexValue(index->value().ToStringView());
  if (!key || !value) return absl::DataLossError("unreadable index record at a trim point");
  const bool inside = key->instance == instance && key->first < trim.start &&
                      trim.start < key->first + value->count;
  FOREBAY_CHECK(!inside, "trim inside a block of " + trim.key.ToString());
  return absl::OkStatus();
}

absl::Status WalCommitter::PutSegment(const SegmentKey& key, uint64_t instance, Offset start,
                                      const std::string& snapshot, rocksdb::WriteBatch& batch) {
  return FromRocks(batch.Put(rocks_.state, EncodeSegmentKey(key),
                             EncodeSegmentValue({instance, start, snapshot})),
                   "write a segment's state");
}

absl::Status WalCommitter::AddDeletions(rocksdb::WriteBatch& batch) {
  if (debris_.empty()) return absl::OkStatus();
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> index(rocks_.db->NewIterator(options, rocks_.index));
  debris_budget_ = kDeletionsPerBatch;
  while (!debris_.empty() && debris_budget_ > 0) {
    FOREBAY_RETURN_IF_ERROR(DeleteDebris(debris_.front(), *index, batch));
    if (debris_.front().from == debris_.front().to) debris_.pop_front();
  }
  return absl::OkStatus();
}

// Moves debris.from on; to debris.to when nothing is left of it.
absl::Status WalCommitter::DeleteDebris(WalDebris& debris, rocksdb::Iterator& index,
                                        rocksdb::WriteBatch& batch) {
  std::optional<uint64_t> next_number;
  for (index.Seek(EncodeIndexKey({debris.instance, debris.from})); index.Valid(); index.Next()) {
    const auto key = DecodeIndexKey(index.key().ToStringView());
    const auto value = DecodeIndexValue(index.value().ToStringView());
    if (!key || !value) return absl::DataLossError("unreadable index record while trimming");
    if (key->instance != debris.instance) break;
    next_number = value->number;
    if (key->first >= debris.to) break;
    debris.from = key->first;
    if (debris_budget_ == 0) return absl::OkStatus();
    --debris_budget_;
    next_number.reset();
    rocksdb::Status status = batch.Delete(rocks_.blocks, EncodeNumber(value->number));
    if (status.ok()) status = batch.Delete(rocks_.index, index.key());
    FOREBAY_RETURN_IF_ERROR(FromRocks(status, "delete a trimmed block"));
    dead_bytes_ += value->bytes;
    if (value->number < flushed_below_) dead_bytes_in_files_ += value->bytes;
  }
  FOREBAY_RETURN_IF_ERROR(FromRocks(index.status(), "read the index while trimming"));
  debris.from = debris.to;
  const auto life = lives_.find(debris.instance);
  if (life != lives_.end()) life->second.first_number = next_number;
  return absl::OkStatus();
}

absl::Status WalCommitter::WriteDurably(rocksdb::WriteBatch& batch) {
  // Nothing to write, nothing to sync (H14).
  if (batch.Count() == 0) return absl::OkStatus();
  rocksdb::WriteOptions options;
  options.sync = true;
  FOREBAY_RETURN_IF_ERROR(FromRocks(rocks_.db->Write(options, &batch), "write and sync the log"));
  FOREBAY_RETURN_IF_ERROR(mark_.Write({incarnation_, rocks_.db->GetLatestSequenceNumber()}));
  if (!mark_is_old_) return absl::OkStatus();
  mark_is_old_ = false;
  return mark_.Sync();
}

absl::Status WalCommitter::GiveSpaceBack() {
  if (dead_bytes_ < memtable_bytes_) return absl::OkStatus();
  dead_bytes_ = 0;
  uint64_t live_from = next_number_;
  for (const auto& [instance, life] : lives_) {
    if (life.first_number) live_from = std::min(live_from, *life.first_number);
  }
  // Files that hold only dead blocks go whole, without a compaction.
  const std::string from = EncodeNumber(0);
  const std::string to = EncodeNumber(live_from);
  const rocksdb::Slice begin(from);
  const rocksdb::Slice end(to);
  FOREBAY_RETURN_IF_ERROR(
      FromRocks(rocksdb::DeleteFilesInRange(rocks_.db.get(), rocks_.blocks, &begin, &end, false),
                "delete files of trimmed blocks"));
  // Elsewhere compaction gives it back, once it sees the deletions: do not let them wait in memory.
  if (dead_bytes_in_files_ < 4 * memtable_bytes_) return absl::OkStatus();
  dead_bytes_in_files_ = 0;
  rocksdb::FlushOptions options;
  options.wait = false;
  options.allow_write_stall = true;
  return FromRocks(rocks_.db->Flush(options, {rocks_.blocks, rocks_.index, rocks_.state}), "flush");
}

}  // namespace forebay
