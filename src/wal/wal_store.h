// WalStore: one node's durable log. It keeps segments apart, each a prefix-complete run of blocks.
#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "block/block.h"
#include "forebay/ids.h"

namespace forebay {

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

// Who the store belongs to. A store that was found empty or damaged has a new incarnation; it then
// neither answers for nor accepts blocks of segments that name the old one (design: limbo).
struct WalMarker {
  NodeId node;
  Incarnation incarnation;
  friend bool operator==(const WalMarker&, const WalMarker&) = default;
};

// What was durable when the store was opened.
struct WalContent {
  std::map<SegmentKey, SegmentExtent> segments;
  std::map<PartitionId, Epoch> fences;
};

struct WalStats {
  uint64_t appended_bytes = 0;  // bytes of blocks given to Write
  uint64_t syncs = 0;           // of the write-ahead log
  uint64_t queued_bytes = 0;    // accepted by Write, not durable yet
  // Since the oldest write that is not settled was accepted; zero: none is waiting.
  absl::Duration oldest_wait;
};

// A step of a walk through the store's own files.
struct FileCheck {
  uint64_t bytes = 0;      // read in this step
  bool pass_done = false;  // every file has been looked at since the pass began
  uint64_t damaged = 0;    // files found damaged in this step
  uint64_t repaired = 0;   // of these, written anew from memory
  // Not OK: files are damaged that cannot be written anew while the store is open. The store takes
  // no more writes; the next opening puts it in order.
  absl::Status status;
};

// Thread-safe. Opening is the business of each implementation.
//
// Durability: `done` is called with OK after the batch, and all batches written before it, are
// synced. Batches become durable in the order of the Write calls, each wholly or not at all, so
// after a power cut every segment is a prefix of what was appended. After the first failed write or
// sync, that batch and every later one is refused until the store is opened anew, because a retried
// fsync proves nothing (hazard 16).
class WalStore {
 public:
  using Done = absl::AnyInvocable<void(const absl::Status&)>;

  virtual ~WalStore() = default;

  virtual const WalMarker& marker() const = 0;
  virtual const WalContent& content_at_open() const = 0;

  // Never blocks for I/O. `done` never runs inline: it runs on a thread of the store (in the test
  // double, on its executor), in the order of the Write calls, and must not block. Destroying the
  // store settles what is waiting (in the test double: drops it); no `done` runs after that.
  // A write that breaks its precondition above is a bug and aborts.
  virtual void Write(std::vector<WalWrite> writes, Done done) = 0;

  // Blocks from the one that holds `from`, in order, until bytes_max is exceeded (at least
  // one), the segment's tail, or 64 blocks. Sees every write given to Write before, durable or not.
  // Verifies each; what is healthy before a damaged block is returned, without it.
  //   NOT_FOUND: surely not here: no such segment, or `from` is outside [start, tail).
  //   DATA_LOSS: it was here and is damaged; never NOT_FOUND for damage (hazard 3).
  //   UNAVAILABLE: the store has failed.
  virtual absl::StatusOr<std::vector<StoredBlock>> Read(const SegmentKey& key, Offset from,
                                                        size_t bytes_max) = 0;

  // The producers' snapshot that is true at the segment's start. Codes as Read.
  virtual absl::StatusOr<std::string> ReadSnapshot(const SegmentKey& key) = 0;

  // Looks at the next bytes_max or so of the store's files for damage that reads do not see: the
  // log, tables, the manifest, small files. Blocks for I/O; one caller at a time. Begins a new pass
  // after the last one ended.
  virtual FileCheck CheckFiles(size_t bytes_max) = 0;

  virtual WalStats stats() const = 0;
};

}  // namespace forebay
