#include "metadata/set_aside.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace forebay {
namespace {

using Read = absl::StatusOr<std::optional<MetadataRecord>>;

absl::StatusOr<SetAsideRecord> BlocksIn(const Read& read, const std::string& key) {
  if (!read.ok()) return WithContext(read.status(), "read ", key);
  if (!read->has_value()) return SetAsideRecord();
  return DecodeSetAside((*read)->value);
}

bool Holds(const SetAsideRecord& record, const SetAsideBlock& block) {
  return std::find(record.blocks.begin(), record.blocks.end(), block) != record.blocks.end();
}

// The record with the block in its place.
absl::StatusOr<SetAsideRecord> With(SetAsideRecord record, const SetAsideBlock& block,
                                    const std::string& key) {
  if (record.blocks.size() >= SetAsideRecord::kBlocksMax) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the record '", key, "' in the metadata store names ", SetAsideRecord::kBlocksMax,
        " blocks, which is the limit: delete it once every sink has passed them"));
  }
  const auto at =
      std::find_if(record.blocks.begin(), record.blocks.end(),
                   [&](const SetAsideBlock& other) { return block.first < other.first; });
  record.blocks.insert(at, block);
  return record;
}

}  // namespace

void IsSetAside(MetadataStore& metadata, const PartitionId& partition, const SetAsideBlock& block,
                absl::AnyInvocable<void(absl::StatusOr<bool>)> done) {
  const std::string key = SetAsideKey(partition);
  metadata.Read(key, [key, block, done = std::move(done)](const Read& read) mutable {
    const absl::StatusOr<SetAsideRecord> record = BlocksIn(read, key);
    if (!record.ok()) return done(record.status());
    done(Holds(*record, block));
  });
}

void WriteSetAside(MetadataStore& metadata, const PartitionId& partition,
                   const SetAsideBlock& block, absl::AnyInvocable<void(absl::Status)> done) {
  const std::string key = SetAsideKey(partition);
  metadata.Read(
      key, [&metadata, partition, key, block, done = std::move(done)](const Read& read) mutable {
        absl::StatusOr<SetAsideRecord> record = BlocksIn(read, key);
        if (record.ok() && Holds(*record, block)) return done(absl::OkStatus());
        if (record.ok()) record = With(*std::move(record), block, key);
        if (!record.ok()) return done(record.status());
        const uint64_t version = read->has_value() ? (*read)->version : 0;
        auto on_swap = [&metadata, partition, key, block,
                        done = std::move(done)](const SwapResult& swapped) mutable {
          // Somebody else was faster: after that one, then.
          if (absl::IsAborted(swapped.status())) {
            return WriteSetAside(metadata, partition, block, std::move(done));
          }
          done(WithContext(StatusToTell(swapped), "write ", key));
        };
        metadata.CompareAndSwap(key, version, Encode(*record), std::move(on_swap));
      });
}

}  // namespace forebay
