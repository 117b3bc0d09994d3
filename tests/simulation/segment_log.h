// Everything that was ever durable anywhere, by segment: what the chain's content is made of.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "wal/wal_store.h"

namespace forebay {

// An event of the workload, by its number; event ids are "e<number>".
using EventNumber = uint32_t;
std::string EventId(EventNumber number);
// FOREBAY_CHECKs that it is one of ours.
EventNumber NumberOf(const Event& event);

class SegmentLog {
 public:
  // A block is durable in the segment. Says what is wrong: another block is known there (I3).
  std::optional<std::string> Add(const SegmentKey& key, const StoredBlock& stored);
  // A block with this checksum counts as holding these events, though it does not decode.
  void AddLie(uint32_t checksum, std::vector<EventNumber> events) {
    lies_[checksum] = std::move(events);
  }
  const std::vector<EventNumber>& LieOf(uint32_t checksum) const { return lies_.at(checksum); }
  // The event at an offset of a segment, if it was durable anywhere.
  std::optional<EventNumber> At(const SegmentKey& key, Offset offset) const;
  // Whether a block starts (or the log ends) there.
  bool IsBoundary(const SegmentKey& key, Offset offset) const;

 private:
  struct Entry {
    uint32_t checksum = 0;
    std::vector<EventNumber> events;
  };
  std::map<SegmentKey, std::map<Offset, Entry>> segments_;
  std::map<uint32_t, std::vector<EventNumber>> lies_;
};

}  // namespace forebay
