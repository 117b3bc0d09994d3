// What must be true in the simulated world at every moment: promises G1 to G6 of docs/GUARANTEES.md
// and invariants I1 to I5 of docs/design/model.md#invariants. It looks at disks, chains, answers
// and sinks only, never inside a node, and shares no code with what it judges.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "forebay/errors.h"
#include "metadata/memory_metadata_store.h"
#include "records/records.h"
#include "simulation/segment_log.h"
#include "wal/memory_wal_store.h"

namespace forebay {

// What is known about one event of the workload.
struct EventHistory {
  int producer = 0;
  std::optional<Outcome> outcome = {};  // as the producer told its caller
  // It was sent under the sequence of another, acknowledged event: nobody may store it.
  bool reuses = false;
  // Where a node acknowledged it, and where the chain's sealed part has it.
  std::optional<std::pair<PartitionId, Offset>> acknowledged_at = {}, sealed_at = {};
  bool set_aside = false;  // by an operator, in a block that nobody can decode
};

// What was seen of chains: the protocol's rare steps should not be rare here.
struct ChainCounters {
  uint64_t swaps = 0, takeovers = 0, rolls = 0, repairs = 0, trims = 0;
};

class Invariants {
 public:
  using DiskOf = std::function<const MemoryDisk&(const NodeId&)>;

  Invariants(const MemoryMetadata& metadata, DiskOf disk_of,
             std::map<StreamId, StreamOptions> streams, std::vector<SinkId> sinks);

  // Things that happened. Each is checked at once.
  EventNumber AddEvent(int producer, bool reuses = false);
  void OnOutcome(EventNumber number, const AppendResult& result);
  // A node answered for a block; whether the answer arrives anywhere does not matter. `stored`: it
  // was stored already when it came there.
  void OnNodeAnswer(const PartitionId& partition, const Block& block, const AppendResult& result,
                    bool stored);
  // Whether one of its events is surely stored.
  bool IsStored(const Block& block) const;
  // Blocks that nodes have acknowledged, in that order.
  const std::vector<std::pair<PartitionId, Block>>& acknowledged_blocks() const {
    return acknowledged_blocks_;
  }
  // Writes of a node may have become durable.
  void OnDisk(const NodeId& node);
  // Its disk is about to be emptied.
  void OnWipe(const NodeId& node);
  // Records may have changed.
  void OnMetadata();
  void OnDelivered(const SinkId& sink, const PartitionId& partition, Offset first,
                   absl::Span<const Event> events);
  // A block with this checksum is sent that nobody can decode. What becomes of it is not known.
  void OnLie(uint32_t checksum, const std::vector<EventNumber>& events);
  // An operator lets sinks pass over it.
  void OnSetAside(uint32_t checksum);
  void OnPassedOver(const SinkId& sink, const PartitionId& partition, Offset first, Offset last);

  // The first invariant that broke, and how.
  const std::optional<std::string>& broken() const { return broken_; }
  void Break(const std::string& invariant, const std::string& how);

  // For the end of a run, and for deciding what a fault may take away. Empty: nothing is missing.
  std::string Undelivered() const;
  std::string Unsettled() const;
  // Segments that have not all their copies, on that many nodes and zones.
  // A block or snapshot that cannot be read on a replica that its segment names; empty: none.
  std::string Damaged() const;
  std::string UnderReplicated(size_t nodes, size_t zones) const;

  const std::vector<EventHistory>& events() const { return events_; }
  const Chain* ChainOf(const PartitionId& partition) const;
  uint64_t delivered() const { return delivered_count_; }
  const ChainCounters& chains() const { return chains_; }
  uint64_t acknowledged() const { return acknowledged_count_; }

 private:
  struct PartitionView {
    uint64_t version = 0;
    Chain chain;
    std::vector<EventNumber> content;         // of the sealed segments, from offset 0
    std::map<int, EventNumber> last_sealed;   // per producer
    std::map<Epoch, Offset> acknowledged_to;  // per segment
  };
  struct SinkView {
    std::vector<EventNumber> events;
    std::map<int, EventNumber> last;  // per producer
  };

  void CheckSwap(const PartitionId& partition, PartitionView& view, const Chain& next);
  void Count(const Chain& before, const Chain& next);
  void CheckForm(const PartitionId& partition, const Chain& before, const Chain& next);
  void CheckRemoved(const PartitionId& partition, const Segment& gone);
  void TakeSealed(const PartitionId& partition, PartitionView& view, const Segment& segment);
  void CheckDurable(const PartitionId& partition, const PartitionView& view);
  void CheckExtents(const NodeId& node);
  void CheckCopies(const PartitionId& partition, const Segment& segment, Offset end);
  bool Holds(const Replica& replica, const SegmentKey& key, Offset end) const;
  static bool IsQuorum(const Segment& segment, const std::set<NodeId>& nodes);
  std::set<NodeId> Holders(const SegmentKey& key, const Segment& segment, Offset end) const;
  // An ack quorum holds it, or did until a wipe within the promise.
  bool IsSafe(const SegmentKey& key, const Segment& segment, Offset end) const;
  // The committed event at an offset, if it is surely committed now.
  std::optional<EventNumber> Committed(const PartitionId& partition, Offset offset) const;
  Offset Floor(const PartitionId& partition) const;

  const MemoryMetadata& metadata_;
  const DiskOf disk_of_;
  const std::vector<SinkId> sinks_;
  std::map<PartitionId, PartitionView> partitions_;
  std::map<std::pair<SinkId, PartitionId>, SinkView> delivered_;
  std::map<NodeId, std::map<SegmentKey, Offset>> seen_;  // disk content known so far, by tail
  // Copies that a wipe took, named by a chain or not yet, and their tails.
  std::map<SegmentKey, std::map<std::pair<NodeId, Incarnation>, Offset>> lost_;
  SegmentLog log_;
  std::vector<EventHistory> events_;
  std::vector<std::pair<PartitionId, Block>> acknowledged_blocks_;
  std::optional<std::string> broken_;
  uint64_t delivered_count_ = 0, acknowledged_count_ = 0;
  ChainCounters chains_;
};

}  // namespace forebay
