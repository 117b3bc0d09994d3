// What a node of the version before says and understands, for rolling upgrades in a simulated
// world. That version is the one before damaged disks were told of (decision 22): it knows neither
// FenceReply::damaged nor NodeRecord::damage, nor NodeRecord::level, nor the rounds of mirroring,
// and it reads producers' snapshots of format 1 only. Whoever adds a field to the wire or to a
// record takes it away here, and may take those away that only older versions lack.
#pragma once

#include <string>
#include <utility>

#include "metadata/metadata_store.h"
#include "replication/core/message.h"

namespace forebay {

void ToPreviousVersion(Message& message);
void ToPreviousVersion(const std::string& key, std::string& value);

// A node's metadata store; as the version before would use it, if `previous`.
class VersionedMetadata final : public MetadataStore {
 public:
  VersionedMetadata(MetadataStore& inner, bool previous) : inner_(inner), previous_(previous) {}
  void Read(std::string key, ReadDone done) override;
  void List(std::string prefix, ListDone done) override;
  void CompareAndSwap(std::string key, uint64_t version, std::string value, SwapDone done) override;
  void Watch(std::string prefix, Changed changed) override;

 private:
  MetadataStore& inner_;
  const bool previous_;
};

}  // namespace forebay
