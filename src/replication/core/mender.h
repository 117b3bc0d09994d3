// MendCore: a node's care for its own damaged copies of a partition: it asks the other replicas for
// what cannot be read here, and has it written over the damage (docs/decisions/0022). Pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "replication/core/copier.h"
#include "replication/core/message.h"
#include "replication/core/outbox.h"
#include "replication/core/repair.h"
#include "replication/core/replica.h"

namespace forebay {

// Confined to one executor.
class MendCore {
 public:
  // `request` is a number of which the low 40 bits are this core's to use.
  MendCore(PartitionId partition, NodeId self, uint64_t request);

  // To be called now and then while the replica core knows of damage in the partition. The writes
  // are a batch of the replica core's.
  ReplicaCore::Writes Survey(const RepairView& view, ReplicaCore& replica, absl::Time now,
                             Outbox& out);
  void OnCopyReply(const NodeId& from, const CopyReply& reply, absl::Time now, Outbox& out);
  void OnFetchReply(const NodeId& from, const FetchReply& reply, absl::Time now, Outbox& out);
  void OnTick(absl::Time now, Outbox& out);
  bool Idle() const { return mending_.empty(); }
  // For the log: what was given up since the last call.
  std::vector<std::string> TakeWarnings() { return std::exchange(warnings_, {}); }

 private:
  struct Spot {
    SegmentKey segment;
    Offset at;
  };
  struct Mending {
    absl::Time since;
    std::optional<absl::Time> retry_at = {};  // given up until then
    std::optional<Offset> block = {};         // that the copier is about
    std::unique_ptr<SegmentCopier> copier = {};
    Offset start = {};  // that the loader is about
    std::unique_ptr<TableLoader> loader = {};
    std::set<NodeId> failed = {};  // could not give it
  };

  ReplicaCore::Writes Mend(const Segment& segment, const RepairView& view, ReplicaCore& replica,
                           absl::Time now, Outbox& out);
  void CopyBlock(const Spot& block, const RepairView& view, const ReplicaCore& replica,
                 absl::Time now, Outbox& out);
  // True at that offset, which is the segment's start here.
  ReplicaCore::Writes LoadSnapshot(const Spot& start, const RepairView& view, ReplicaCore& replica,
                                   absl::Time now, Outbox& out);
  // The others that are alive with the store that the segment names.
  std::vector<NodeId> Sources(Epoch epoch, const RepairView& view) const;

  const PartitionId partition_;
  const NodeId self_;
  uint64_t request_;
  std::map<SegmentKey, Mending> mending_;
  std::vector<std::string> warnings_;
};

}  // namespace forebay
