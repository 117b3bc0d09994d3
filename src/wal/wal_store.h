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
#include "block/segment.h"
#include "forebay/ids.h"

namespace forebay {

// Who the store belongs to. A store that was found empty or damaged has a new incarnation; it then
// neither answers for nor accepts blocks of segments that name the old one (design: limbo).
struct WalMarker {
  NodeId node;
  Incarnation incarnation;
  friend bool operator==(const WalMarker&, const WalMarker&) = default;
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
  uint64_t repaired = 0;   // of these, written again from memory
  // Not OK: files are damaged that cannot be written again while the store is open. The store takes
  // no more writes; the next opening puts it in order.
  absl::Status status;
};

// Thread-safe. Opening is the business of each implementation.
//
// Durability: `done` is called with OK after the batch, and all batches written before it, are
// synced. Batches become durable in the order of the Write calls, each wholly or not at all, so
// after a power cut every segment is a prefix of what was appended. After the first failed write or
// sync, that batch and every later one is refused until the store is opened again, because a
// retried fsync proves nothing (H16).
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
  //   DATA_LOSS: it was here and is damaged; never NOT_FOUND for damage (H3).
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
