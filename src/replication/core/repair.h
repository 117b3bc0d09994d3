// RepairCore: the owner's care for the sealed segments of its partition: each on as many nodes and
// zones as the stream asks for, its replica list true. (docs/design/protocol.md#repair) Pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "records/records.h"
#include "replication/core/copier.h"
#include "replication/core/message.h"
#include "replication/core/outbox.h"

namespace forebay {

// What repair needs to know of a registered node.
struct RepairNode {
  NodeRecord record;
  bool alive = false;
  bool replace = false;  // gone for long, or leaving, that its copies are made elsewhere
  bool leaving = false;  // an operator wants it emptied, even if fewer copies are left then
  NodeId replaces;       // the node whose copies it gets rather than others; may be empty
};

// A partition at the moment of a survey.
struct RepairView {
  uint64_t chain_version = 0;
  Chain chain;
  int copies = 1;  // that the stream asks for
  std::vector<RepairNode> nodes;
  Offset floor;  // segments that end at or below it are left to be trimmed
};

// Confined to one executor.
class RepairCore {
 public:
  // `request` is a number of which the low 40 bits are this core's to use.
  RepairCore(PartitionId partition, NodeId self, uint64_t request);

  // Looks at the chain and the nodes, and starts or goes on with what is needed.
  void Survey(RepairView view, absl::Time now, Outbox& out);
  void OnCopyReply(const NodeId& from, const CopyReply& reply, absl::Time now, Outbox& out);
  void OnFetchReply(const NodeId& from, const FetchReply& reply, absl::Time now, Outbox& out);
  void OnTick(absl::Time now, Outbox& out);

  // The chain with corrected replica lists, if one can be corrected now: to be swapped in at the
  // version of the last survey (docs/design/model.md#guards, "version").
  std::optional<Chain> Proposal() const;
  // Sealed segments that fewer live nodes are known to hold than asked for, at the last survey.
  int under_replicated() const { return under_replicated_; }
  // Nodes of the segment's list that are known to hold it whole.
  std::vector<NodeId> HoldersOf(const Segment& segment) const;
  bool Idle() const { return copiers_.empty(); }

 private:
  struct Confirmation {
    Incarnation incarnation;
    uint64_t damage = 0;  // NodeRecord::damage when it was asked
    friend bool operator==(const Confirmation&, const Confirmation&) = default;
  };
  struct Copying {
    Confirmation becomes;
    std::unique_ptr<SegmentCopier> copier;
  };
  struct Key {
    Epoch epoch;
    NodeId node;
    friend auto operator<=>(const Key&, const Key&) = default;
  };

  static bool IsNamed(const Chain& chain, const Key& key);
  bool Confirmed(Epoch epoch, const Replica& replica) const;
  void SurveySegment(const Segment& segment, absl::Time now, Outbox& out);
  void StartCopier(const Segment& segment, const Replica& target, absl::Time now, Outbox& out);
  void CollectFinished();
  // The list that a segment should have, given who is known to hold it.
  std::vector<Replica> Corrected(const Segment& segment) const;

  const PartitionId partition_;
  const NodeId self_;
  uint64_t request_;
  RepairView view_;                        // of the last survey
  std::map<Key, Confirmation> confirmed_;  // known to hold the whole segment
  std::map<Key, Copying> copiers_;
  int under_replicated_ = 0;
};

}  // namespace forebay
