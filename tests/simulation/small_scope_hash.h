// Hashes of what the small world is made of: everything that a core can tell apart.
#pragma once

#include <cstdint>
#include <string_view>

#include "records/records.h"
#include "replication/core/message.h"
#include "wal/memory_wal_store.h"

namespace forebay {

class ContentHash {
 public:
  uint64_t value() const { return value_; }
  ContentHash& Add(uint64_t number) {
    value_ ^= number + 0x9e3779b97f4a7c15u + (value_ << 6) + (value_ >> 2);
    value_ *= 0xff51afd7ed558ccdu;
    value_ ^= value_ >> 32;
    return *this;
  }
  ContentHash& Add(std::string_view text);
  ContentHash& Add(Offset offset) { return Add(offset.value()); }
  ContentHash& Add(Epoch epoch) { return Add(epoch.value()); }
  ContentHash& Add(Incarnation incarnation) { return Add(incarnation.value()); }
  ContentHash& Add(const SegmentKey& key) { return Add(key.epoch); }  // there is one partition
  ContentHash& Add(const Chain& chain);
  ContentHash& Add(const MemoryWalState& disk);
  ContentHash& Add(const Message& message);
  ContentHash& Add(const WalWrite& write);

 private:
  ContentHash& Add(const Block& block) { return Add(uint64_t{block.checksum()}); }

  uint64_t value_ = 0x243f6a8885a308d3u;
};

}  // namespace forebay
