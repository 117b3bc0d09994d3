#include "simulation/previous_version.h"

#include <optional>
#include <utility>
#include <vector>

#include "records/records.h"

namespace forebay {
namespace {

// A newer format is no table to it.
void CannotRead(std::optional<std::string>& snapshot) {
  if (snapshot.has_value() && !snapshot->empty() && snapshot->front() != 1) *snapshot = "?";
}

void ToPreviousVersion(std::vector<MetadataRecord>& records) {
  for (MetadataRecord& record : records) forebay::ToPreviousVersion(record.key, record.value);
}

}  // namespace

void ToPreviousVersion(Message& message) {
  if (auto* reply = std::get_if<FenceReply>(&message)) reply->damaged = false;
  if (auto* mirror = std::get_if<MirrorRequest>(&message)) {
    CannotRead(mirror->open_snapshot);
    mirror->round = 0;
  }
  if (auto* mirrored = std::get_if<MirrorReply>(&message)) mirrored->round = 0;
  if (auto* copy = std::get_if<CopyRequest>(&message)) CannotRead(copy->open_snapshot);
  if (auto* fetched = std::get_if<FetchReply>(&message)) CannotRead(fetched->snapshot);
}

void ToPreviousVersion(const std::string& key, std::string& value) {
  if (value.empty() || !key.starts_with(NodeKey(NodeId()))) return;
  auto node = DecodeNode(value);
  if (!node.ok() || (node->damage == 0 && node->level == 0)) return;
  node->damage = 0;
  node->level = 0;
  value = Encode(*node);
}

void VersionedMetadata::Read(std::string key, ReadDone done) {
  if (!previous_) return inner_.Read(std::move(key), std::move(done));
  inner_.Read(std::move(key), [done = std::move(done)](auto record) mutable {
    if (record.ok() && record->has_value()) {
      forebay::ToPreviousVersion((*record)->key, (*record)->value);
    }
    done(std::move(record));
  });
}

void VersionedMetadata::List(std::string prefix, ListDone done) {
  if (!previous_) return inner_.List(std::move(prefix), std::move(done));
  inner_.List(std::move(prefix), [done = std::move(done)](auto records) mutable {
    if (records.ok()) ToPreviousVersion(*records);
    done(std::move(records));
  });
}

void VersionedMetadata::CompareAndSwap(std::string key, uint64_t version, std::string value,
                                       SwapDone done) {
  if (previous_) forebay::ToPreviousVersion(key, value);
  inner_.CompareAndSwap(std::move(key), version, std::move(value), std::move(done));
}

void VersionedMetadata::Watch(std::string prefix, Changed changed) {
  if (!previous_) return inner_.Watch(std::move(prefix), std::move(changed));
  inner_.Watch(std::move(prefix), [changed = std::move(changed)](auto records) mutable {
    ToPreviousVersion(records);
    changed(std::move(records));
  });
}

}  // namespace forebay
