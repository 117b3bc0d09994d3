#include "wal/wal_loader.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "wal/rocks_options.h"
#include "wal/wal_keys.h"

namespace forebay {
namespace {

constexpr Offset kAll(std::numeric_limits<uint64_t>::max());

std::unique_ptr<rocksdb::Iterator> Scan(const RocksHandles& rocks,
                                        rocksdb::ColumnFamilyHandle* family) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.readahead_size = 1 << 20;
  return std::unique_ptr<rocksdb::Iterator>(rocks.db->NewIterator(options, family));
}

class Loader {
 public:
  explicit Loader(const RocksHandles& rocks) : rocks_(rocks) {}

  absl::StatusOr<LoadedWal> Load() {
    FOREBAY_RETURN_IF_ERROR(CheckFormat());
    FOREBAY_RETURN_IF_ERROR(LoadState());
    FOREBAY_RETURN_IF_ERROR(LoadIndex());
    return std::move(loaded_);
  }

 private:
  // First of all: what a newer version wrote must not be taken for damage.
  absl::Status CheckFormat() {
    std::string marker;
    const rocksdb::Status read =
        rocks_.db->Get(rocksdb::ReadOptions(), rocks_.state,
                       rocksdb::Slice(kMarkerKey.data(), kMarkerKey.size()), &marker);
    if (read.IsNotFound()) return absl::OkStatus();
    if (!read.ok()) return FromRocks(read, "read the marker");
    const std::optional<uint64_t> format = DecodeMarkerVersion(marker);
    if (!format.has_value() || *format <= kWalFormat) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        "the store has format ", *format, ", but this version of Forebay knows formats up to ",
        kWalFormat, ": it was written by a newer version; nothing was changed, start that one"));
  }

  absl::Status LoadState() {
    const auto scan = Scan(rocks_, rocks_.state);
    for (scan->SeekToFirst(); scan->Valid(); scan->Next()) {
      if (!TakeState(scan->key().ToStringView(), scan->value().ToStringView())) {
        return absl::DataLossError(
            absl::StrCat("unreadable state record ", scan->key().ToString(/*hex=*/true)));
      }
    }
    return FromRocks(scan->status(), "read the state");
  }

  bool TakeState(std::string_view key, std::string_view value) {
    if (key == kMarkerKey) {
      loaded_.marker = DecodeMarker(value);
      return loaded_.marker.has_value();
    }
    if (key.starts_with(kFencePrefix)) {
      const std::optional<PartitionId> partition = DecodeFenceKey(key);
      const std::optional<uint64_t> fence = DecodeNumber(value);
      if (!partition || !fence) return false;
      loaded_.fences[*partition] = Epoch(*fence);
      return true;
    }
    const std::optional<SegmentKey> segment = DecodeSegmentKey(key);
    const std::optional<SegmentValue> record = DecodeSegmentValue(value);
    if (!segment || !record) return false;
    LoadedSegment& loaded = loaded_.segments[*segment];
    loaded = {record->instance, {record->start, record->start}, std::nullopt, 0};
    loaded_.next_instance = std::max(loaded_.next_instance, record->instance + 1);
    return by_instance_.emplace(record->instance, &loaded).second;
  }

  absl::Status LoadIndex() {
    const auto scan = Scan(rocks_, rocks_.index);
    for (scan->SeekToFirst(); scan->Valid(); scan->Next()) {
      const std::optional<IndexKey> key = DecodeIndexKey(scan->key().ToStringView());
      const std::optional<IndexValue> value = DecodeIndexValue(scan->value().ToStringView());
      if (!key || !value) {
        return absl::DataLossError(
            absl::StrCat("unreadable index record ", scan->key().ToString(/*hex=*/true)));
      }
      FOREBAY_RETURN_IF_ERROR(TakeIndex(*key, *value));
    }
    return FromRocks(scan->status(), "read the index");
  }

  // Entries come in order of instance and offset.
  absl::Status TakeIndex(const IndexKey& key, const IndexValue& value) {
    // Every block has its index entry, so this is also above the last key of `blocks`.
    loaded_.next_number = std::max(loaded_.next_number, value.number + 1);
    loaded_.next_instance = std::max(loaded_.next_instance, key.instance + 1);
    const auto found = by_instance_.find(key.instance);
    if (found == by_instance_.end()) {
      AddDebris({key.instance, key.first, kAll, value.bytes});
      return absl::OkStatus();
    }
    LoadedSegment& segment = *found->second;
    if (key.first < segment.extent.start) {
      AddDebris({key.instance, key.first, segment.extent.start, value.bytes});
      return absl::OkStatus();
    }
    // A hole is a loss that RocksDB did not see (H17).
    if (key.first != segment.extent.tail) {
      return absl::DataLossError(absl::StrCat("instance ", key.instance, " goes on at ",
                                              key.first.value(), " instead of ",
                                              segment.extent.tail.value()));
    }
    segment.extent.tail = key.first + value.count;
    segment.bytes += value.bytes;
    if (!segment.first_number) segment.first_number = value.number;
    return absl::OkStatus();
  }

  void AddDebris(const WalDebris& debris) {
    if (loaded_.debris.empty() || loaded_.debris.back().instance != debris.instance) {
      loaded_.debris.push_back(debris);
    } else {
      loaded_.debris.back().bytes += debris.bytes;
    }
  }

  const RocksHandles& rocks_;
  LoadedWal loaded_;
  std::unordered_map<uint64_t, LoadedSegment*> by_instance_;
};

}  // namespace

RocksHandles::~RocksHandles() {
  if (db == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* family : {unused, blocks, index, state}) {
    if (family != nullptr) db->DestroyColumnFamilyHandle(family);
  }
}

absl::StatusOr<LoadedWal> LoadWal(const RocksHandles& rocks) { return Loader(rocks).Load(); }

}  // namespace forebay
