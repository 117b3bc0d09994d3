// SealerCore: one attempt of a takeover, up to the swap (docs/design/protocol.md#takeover, steps
// 1 to 4, and the loading of step 6, which is done before the swap because what is sealed no longer
// changes). Pure; needs no clock but for asking again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "records/records.h"
#include "replication/core/copier.h"
#include "replication/core/message.h"
#include "replication/core/outbox.h"
#include "replication/core/producer_table.h"

namespace forebay {

// Confined to one executor. Discard it when the chain is no longer at `chain_version`.
class SealerCore {
 public:
  enum class Phase {
    kFencing,  // until the answers form a seal quorum
    kCopying,  // until this node and an ack quorum hold everything up to the end
    kLoading,  // the producers' table
    kReady,    // the swap may be sent
    kFenced,   // a higher epoch has been here: read the chain
  };

  // `chain` as read at `chain_version`; its last segment is to be sealed. `request` is a number of
  // which the low 40 bits are this attempt's to use.
  SealerCore(PartitionId partition, uint64_t chain_version, Chain chain, NodeRecord self,
             uint64_t request);
  ~SealerCore();

  // `live`: the nodes that seem alive, this one among them; where copies may go.
  void Start(std::vector<NodeRecord> live, absl::Time now, Outbox& out);
  void OnFenceReply(const NodeId& from, const FenceReply& reply, absl::Time now, Outbox& out);
  void OnCopyReply(const NodeId& from, const CopyReply& reply, absl::Time now, Outbox& out);
  void OnFetchReply(const NodeId& from, const FetchReply& reply, absl::Time now, Outbox& out);
  void OnTick(const std::vector<NodeRecord>& live, absl::Time now, Outbox& out);

  Phase phase() const { return phase_; }
  uint64_t chain_version() const { return chain_version_; }
  // The new segment's epoch, and what replicas are fenced with.
  Epoch fence() const { return Next(sealed().epoch); }

  // Why it is not ready, for a person.
  std::string WaitsFor() const;

  // When ready: the chain to swap in, with `open` (its epoch, base and owner are filled in) as the
  // new segment; and the table that is true at its base.
  Chain Proposal(Segment open) const;
  ProducerTable TakeTable();
  // The last blocks that it was made from, for their digests.
  std::vector<StoredBlock> TakeRecent();

 private:
  struct Answer {
    bool open = false;  // has the segment
    Offset start;
    Offset tail;
    bool damaged = false;  // counts for the end, not as a copy
  };

  const Segment& sealed() const { return chain_.segments.back(); }
  void AskForFences(absl::Time now, Outbox& out);
  void DecideEnd(absl::Time now, Outbox& out);
  void CopyWhereNeeded(absl::Time now, Outbox& out);
  void CheckCopies(absl::Time now, Outbox& out);
  void BeginLoading(absl::Time now, Outbox& out);
  std::vector<NodeId> Sources() const;
  bool HoldersSuffice() const;
  bool MustKeep() const;
  void Hold(const Replica& replica);
  void StartOver(const NodeId& bad_source, absl::Time now, Outbox& out);

  const PartitionId partition_;
  const uint64_t chain_version_;
  const Chain chain_;
  const NodeRecord self_;
  uint64_t request_;
  Phase phase_ = Phase::kFencing;
  std::vector<NodeRecord> live_;
  std::map<NodeId, Answer> answers_;  // of replicas of the segment, under our fence
  std::set<NodeId> limbo_;            // said that they lost what they had
  std::set<NodeId> distrusted_;       // could not serve what they said they hold
  absl::Time asked_at_;
  Offset end_;
  std::vector<Replica> holders_;  // hold everything up to the end, under our fence
  std::map<NodeId, std::unique_ptr<SegmentCopier>> copiers_;
  std::unique_ptr<TableLoader> loader_;
  ProducerTable table_;
};

}  // namespace forebay
