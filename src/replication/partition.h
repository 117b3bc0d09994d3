// PartitionDriver: one partition as this node sees it. Runs the cores that the partition needs at
// the moment (owner, sealer, repair) and decides when a roll, a takeover or a trim begins.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "replication/core/mender.h"
#include "replication/core/owner.h"
#include "replication/core/placement.h"
#include "replication/core/quorum.h"
#include "replication/core/repair.h"
#include "replication/core/sealer.h"
#include "replication/node_state.h"

namespace forebay {

// Confined to the node's loop.
class PartitionDriver {
 public:
  using StatusCallback = absl::AnyInvocable<void(absl::Status)>;

  PartitionDriver(NodeState& node, OwnershipListener& listener, PartitionId id,
                  StreamOptions stream);
  ~PartitionDriver();

  // --- from the outside
  void Append(Block block, absl::Time arrived, AppendDone done);
  void Read(Offset from, size_t bytes_max, ReadDone done);
  void SetTrimFloor(Offset floor);
  void TakeOver(Epoch seen_epoch, StatusCallback done);
  void HandOver(NodeId to, StatusCallback done);
  PartitionStatus Status() const;
  // Answers all that wait, as unknown.
  void Stop();

  // --- what happens
  void OnChain(VersionedChain chain);
  void OnMessage(const NodeId& from, Message message);
  void OnPeerBack(const NodeId& node);
  // Every few milliseconds while Busy().
  void OnTick();
  // A few times a second: is everything as it should be?
  void Survey();
  bool Busy() const;
  // Nothing is under way, and only time or news could change that.
  bool Resting() const;

 private:
  struct Waiting {
    AppendDone done;
  };
  struct ProbeRound {
    Epoch epoch;
    absl::Time asked;
    std::vector<StatusCallback> done;
  };
  struct HandOverRound {
    NodeId to;
    absl::Time asked_at = absl::InfinitePast();
    absl::Time deadline;
    StatusCallback done;
  };

  bool HasChain() const { return !chain_.chain.segments.empty(); }
  const Segment& Last() const { return chain_.chain.segments.back(); }
  // This process opened the chain's open segment.
  bool IsMine(const Segment& segment) const;

  // partition.cc
  std::optional<absl::Status> Refusal() const;
  std::optional<absl::Status> RefusalForSpace(ReplicaMask alive) const;
  // What this turn appends goes out together.
  void MirrorSoon();
  void NoteStages(absl::Time now);
  void MirrorLater(const NodeId& to);
  void Flush(OwnerOutput out);
  void Adopt(VersionedChain chain);
  void LoseOwnership();
  void BecomeOwner(ProducerTable table);
  // What the table was rebuilt from tells a repeat from other events only once it is decoded.
  void LearnDigests(std::vector<StoredBlock> recent);
  void AnnounceCommitted();
  void ReadChainAgain();
  void FinishHandOver(absl::Status status);
  void PursueHandOver();
  NodeId HandOverTarget() const;
  NodeId Heir() const;

  // partition_takeover.cc
  void SurveyOwnership();
  void SurveyDisk();
  bool MayHandOverForDisk() const;
  bool LeavesToOthers() const;
  bool IsMyTurn(absl::Duration waited) const;
  void CreateChain();
  bool HearsEnoughToSeal() const;
  void StartTakeover();
  void AfterSealerStep(Outbox out);
  void ProposeTakeover();
  void EndAttempt();
  void WarnOfTakeover();
  bool ProbeIsOver(absl::Time now) const;
  void EndProbe(bool owns);
  void FinishProbe(absl::Status status);
  void SurveyRoll();
  void LeaveIfAsked();
  std::optional<Placement> PlaceOpen() const;
  std::optional<Placement> PlaceForRoll() const;
  bool RollIsDue(const std::vector<Replica>& placed) const;
  void Roll(Placement placement);
  void SurveyRepair();
  void SurveyDamage();
  void SurveyTrim();
  void SwapEdited(Chain chain);
  void FinishSwap(VersionedChain now);

  // partition_read.cc
  struct RemoteRead {
    Segment segment;
    ReadDone done;
  };
  void CatchUp(const NodeId& to, Offset from);
  void ReadRemote(const Segment& segment, Offset from, size_t bytes_max, ReadDone done);
  void FinishRemoteRead(const FetchReply& reply, RemoteRead reader);
  std::vector<StoredBlock> CutToCommitted(const Segment& segment,
                                          std::vector<StoredBlock> blocks) const;

  NodeState& node_;
  OwnershipListener& listener_;
  const PartitionId id_;
  const StreamOptions stream_;

  VersionedChain chain_;
  std::optional<VersionedChain> newer_;  // came while a swap of ours was under way
  bool swapping_ = false;
  bool asking_before_roll_ = false;
  bool asking_before_hand_over_ = false;
  // A node has many partitions that nothing happens to, so what is for a while is not inside.
  std::unique_ptr<OwnerCore> owner_;
  std::unique_ptr<StageTracker> stages_;  // of what owner_ has taken in; with it
  std::unique_ptr<SealerCore> sealer_;
  std::unique_ptr<RepairCore> repair_;  // where this node owns it and something is sealed
  std::unique_ptr<MendCore> mender_;    // while the node knows of damage
  std::unique_ptr<HandOverRound> hand_over_;
  std::map<Ticket, Waiting> waiting_;
  Ticket tickets_ = 0;
  bool mirror_is_due_ = false;  // at the end of this turn
  std::set<NodeId> rest_;       // replicas that have not been sent everything yet
  std::map<uint64_t, RemoteRead> remote_reads_;

  absl::Time attempt_started_;
  absl::Time next_attempt_;  // not before: back-off
  absl::Time warned_at_ = absl::InfinitePast();
  std::optional<absl::Time> gone_since_;  // the owner seems gone since
  std::optional<absl::Time> fenced_since_;
  std::optional<ProbeRound> probe_;
  absl::Time next_leave_ = absl::InfinitePast();  // not before: a hand-over away failed
  absl::Time next_disk_hand_over_;                // not before
  Offset trim_wish_;
};

}  // namespace forebay
