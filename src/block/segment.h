// What a node's log holds, and what can be written to it. Only types: wal_store.h says what a store
// does with them, and the cores of replication decide what is to be written.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "block/block.h"
#include "forebay/ids.h"

namespace forebay {

// One run of blocks of a partition, written by one owner at one epoch.
struct SegmentKey {
  PartitionId partition;
  Epoch epoch;
  friend auto operator<=>(const SegmentKey&, const SegmentKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const SegmentKey& k) {
    return H::combine(std::move(h), k.partition, k.epoch);
  }
  std::string ToString() const {
    return partition.ToString() + "@" + std::to_string(epoch.value());
  }
};

// Blocks [start, tail) are held. What was below start has been trimmed.
struct SegmentExtent {
  Offset start;
  Offset tail;
  friend bool operator==(const SegmentExtent&, const SegmentExtent&) = default;
};

struct StoredBlock {
  Offset first;
  Block block;
  Offset end() const { return first + block.event_count(); }
};

// What a batch can hold. Each refers to the state after the writes before it.
// Starts a segment at `start`, with the producers' snapshot that is true at `start`. It must not be
// there yet.
struct OpenSegment {
  SegmentKey key;
  Offset start;
  std::string snapshot;
};
// The segment must be there, and `first` be its tail.
struct AppendBlock {
  SegmentKey key;
  Offset first;
  Block block;
};
// The partition's fence becomes `fence` if that is higher.
struct RaiseFence {
  PartitionId partition;
  Epoch fence;
};
// Drops the blocks that end at or below `start`, which must be a block's end or the extent's start;
// `snapshot` replaces the segment's snapshot and is true at `start`.
struct TrimSegment {
  SegmentKey key;
  Offset start;
  std::string snapshot;
};
// Forgets a segment, its blocks and snapshot, if it is there.
struct DropSegment {
  SegmentKey key;
};
// Writes the bytes of a block again that may have been damaged. Only where exactly this block, by
// its checksum, was appended and is still held; otherwise nothing happens. So it never changes what
// the segment holds.
struct RestoreBlock {
  SegmentKey key;
  Offset first;
  Block block;
};
// Replaces the segment's snapshot by one that is true at its start, which must be `start`.
struct RestoreSnapshot {
  SegmentKey key;
  Offset start;
  std::string snapshot;
};
using WalWrite = std::variant<OpenSegment, AppendBlock, RaiseFence, TrimSegment, DropSegment,
                              RestoreBlock, RestoreSnapshot>;

// What was durable when the store was opened.
struct WalContent {
  std::map<SegmentKey, SegmentExtent> segments;
  std::map<PartitionId, Epoch> fences;
};

}  // namespace forebay
