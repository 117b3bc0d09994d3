// What a RocksWalStore holds by the writes it was given, durable or not: each segment's extent, and
// the blocks and snapshots that wait for their sync.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "wal/wal_loader.h"
#include "wal/wal_store.h"

namespace forebay {

// A write, and the instance of the segment it is about (0: none).
struct AcceptedWrite {
  WalWrite write;
  uint64_t instance = 0;
};

// Not thread-safe. A ticket is the number of a Write call.
class WalSegmentTable {
 public:
  struct PendingBlock {
    uint64_t ticket = 0;
    StoredBlock stored;
  };
  struct Segment {
    uint64_t instance = 0;
    SegmentExtent extent;
    std::list<PendingBlock> pending;  // mostly empty, and then a deque takes 600 bytes
    std::optional<std::pair<uint64_t, std::string>> pending_snapshot;  // ticket, bytes
  };

  explicit WalSegmentTable(const LoadedWal& loaded);

  // Aborts when the write breaks its precondition (wal_store.h).
  AcceptedWrite Accept(WalWrite write, uint64_t ticket);
  // Everything up to `ticket` is durable: what it was about need not be kept here.
  void Release(const std::vector<AcceptedWrite>& writes, uint64_t ticket);
  // null: no such segment.
  const Segment* Find(const SegmentKey& key) const;

 private:
  class Acceptor;
  Segment& FindOpen(const SegmentKey& key);

  std::map<SegmentKey, Segment> segments_;
  uint64_t next_instance_;
};

}  // namespace forebay
