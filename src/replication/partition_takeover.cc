// PartitionDriver: takeover, roll, repair and trim: everything that changes the chain.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "replication/core/placement.h"
#include "replication/core/quorum.h"
#include "replication/partition.h"
#include "runtime/log.h"

namespace forebay {
namespace {

// An owner that is there answers a probe within a round trip; this allows for a busy machine.
constexpr absl::Duration kProbeLimit = absl::Milliseconds(150);
// One with more to do than it can do answers late, but still sends heartbeats: to take its
// partitions away would only add to the load (busy-is-not-gone).
constexpr absl::Duration kBusyProbeLimit = absl::Seconds(2);
constexpr absl::Duration kAttemptLimit = absl::Seconds(3);
constexpr absl::Duration kWarnEvery = absl::Seconds(30);
// A partition that never had an owner waits this long for zones that are registered but not up.
constexpr absl::Duration kWaitForZones = absl::Seconds(3);
// After a hand-over away from a node that leaves has failed: the partition is served in between.
constexpr absl::Duration kLeaveAgainAfter = absl::Seconds(15);
// A fenced owner whose chain nobody changed takes over itself after this.
constexpr absl::Duration kSealerPatience = absl::Milliseconds(300);
// After a try to hand over because of the disk.
constexpr absl::Duration kDiskHandOverRetry = absl::Seconds(1);

}  // namespace

void PartitionDriver::Survey() {
  if (swapping_ || node_.loop().stopped()) return;
  if (!node_.store_status().ok()) return;
  SurveyDamage();
  SurveyOwnership();
  if (owner_ != nullptr && !swapping_ && sealer_ == nullptr) SurveyRoll();
  if (owner_ != nullptr && !swapping_ && sealer_ == nullptr) SurveyRepair();
  SurveyTrim();
}

void PartitionDriver::SurveyOwnership() {
  if (node_.self().draining || sealer_ != nullptr) return;
  const absl::Time now = node_.Now();
  if (owner_ != nullptr) {
    if (fenced_since_.has_value() && now - *fenced_since_ > kSealerPatience) StartTakeover();
    if (!fenced_since_.has_value() && !swapping_) LeaveIfAsked();
    SurveyDisk();
    return;
  }
  if (HasChain() && !node_.cluster().OwnerSeemsGone(Last())) {
    gone_since_.reset();
    return;
  }
  if (!gone_since_.has_value()) gone_since_ = now;
  if (!IsMyTurn(now - *gone_since_)) return;
  if (HasChain()) {
    StartTakeover();
  } else {
    CreateChain();
  }
}

// Nodes that an operator wants emptied own nothing, as long as there is another to own it.
void PartitionDriver::LeaveIfAsked() {
  if (hand_over_ != nullptr || node_.Now() < next_leave_ ||
      !node_.cluster().IsLeaving(node_.self()))
    return;
  const NodeId to = Heir();
  if (to.empty()) return;
  next_leave_ = node_.Now() + kLeaveAgainAfter;
  HandOver(to, [id = id_](const absl::Status& status) {
    if (status.ok()) return;
    Log(LogLevel::kWarning, absl::StrCat(id.ToString(),
                                         " stays here for now, although the node is "
                                         "leaving: ",
                                         std::string(status.message())));
  });
}

// An owner whose disk is full or stalled is in the way (H15). While the metadata store is
// away nobody can take over, and the open segment goes on: it has to answer a read first.
void PartitionDriver::SurveyDisk() {
  if (!MayHandOverForDisk() || asking_before_hand_over_) return;
  asking_before_hand_over_ = true;
  node_.chains().Read(id_, [this](VersionedChain chain) {
    asking_before_hand_over_ = false;
    OnChain(std::move(chain));
    if (owner_ == nullptr || !MayHandOverForDisk()) return;
    next_disk_hand_over_ = node_.Now() + kDiskHandOverRetry;
    Log(LogLevel::kInfo, absl::StrCat(id_.ToString(), ": handing over to ", Heir().value(),
                                      node_.self().disk_full ? ", the disk here is full"
                                                             : ", the disk here is slow"));
    HandOver(Heir(), [](const absl::Status& status) {
      if (!status.ok()) Log(LogLevel::kWarning, std::string(status.message()));
    });
  });
}

bool PartitionDriver::MayHandOverForDisk() const {
  return !IsFitToOwn(node_.self()) && hand_over_ == nullptr && sealer_ == nullptr && !swapping_ &&
         node_.Now() >= next_disk_hand_over_ && !Heir().empty();
}

// Another replica is better fit to own than this node.
bool PartitionDriver::LeavesToOthers() const {
  if (IsFitToOwn(node_.self())) return false;
  for (const NodeRecord& node : node_.cluster().LiveNodes()) {
    const bool stays = IsFitToOwn(node) && !node_.cluster().IsLeaving(node);
    if (stays && HasChain() && IndexOf(Last().replicas, node.id) >= 0) return true;
  }
  return false;
}

// Most nodes are far back in line for most partitions, and see so at the first few others.
bool PartitionDriver::IsMyTurn(absl::Duration waited) const {
  std::vector<Replica> first;
  if (!HasChain()) {
    const NodeRecord* owner =
        node_.cluster().Record(FirstOwner(id_, node_.cluster().LiveFirstOwners()));
    first.push_back({owner->id, owner->incarnation, owner->zone});
  }
  const auto leaves = [this](const NodeRecord& node) { return node_.cluster().IsLeaving(node); };
  const TakeoverLine line{id_, HasChain() ? absl::MakeConstSpan(Last().replicas) : first,
                          node_.cluster().LiveNodes(), leaves};
  const auto turns = static_cast<size_t>(waited / (HasChain() ? kTakeoverStep : kCreateStep)) + 1;
  return CountBefore(line, node_.self(), turns) < turns;
}

void PartitionDriver::CreateChain() {
  if (!node_.chains().MayCreate()) return;
  auto placed = PlaceOpen();
  if (!placed.has_value()) return;
  std::vector<Replica> registered;
  for (const RepairNode& node : node_.cluster().RepairNodes()) {
    if (node.leaving) continue;
    registered.push_back({node.record.id, node.record.incarnation, node.record.zone});
  }
  const int zones = ZoneCount(placed->replicas, AllOf(placed->replicas));
  const int wanted = std::max(stream_.ack_zones,
                              std::min(stream_.copies, ZoneCount(registered, AllOf(registered))));
  if (zones < wanted && node_.Now() - *gone_since_ < kWaitForZones) return;
  swapping_ = true;
  Chain chain{{Segment{Epoch(1), Offset(), std::nullopt, placed->rule, std::move(placed->replicas),
                       node_.self().id, node_.self().life}}};
  node_.chains().Create(id_, std::move(chain), [this](ChainSwap swap) {
    FinishSwap(std::move(swap.now));
    if (HasChain() && IsMine(Last()) && Last().epoch == Epoch(1) && owner_ == nullptr) {
      BecomeOwner(ProducerTable());
    }
  });
}

void PartitionDriver::FinishSwap(VersionedChain now) {
  swapping_ = false;
  if (now.version > chain_.version && !now.chain.segments.empty()) Adopt(std::move(now));
  if (newer_.has_value()) OnChain(*std::exchange(newer_, std::nullopt));
}

void PartitionDriver::TakeOver(Epoch seen_epoch, StatusCallback done) {
  if (!HasChain() || seen_epoch > Last().epoch) {
    ReadChainAgain();
    done(absl::UnavailableError(absl::StrCat(id_.ToString(), ": this node has not heard of epoch ",
                                             seen_epoch.value(), " yet")));
  } else if (seen_epoch < Last().epoch || (owner_ != nullptr && !fenced_since_.has_value()) ||
             sealer_ != nullptr || swapping_) {
    done(absl::OkStatus());
  } else if (node_.self().draining) {
    done(absl::UnavailableError("this node is draining and takes over nothing"));
  } else if (const NodeRecord best = node_.cluster().LiveNodes().front();
             node_.cluster().IsLeaving(node_.self()) && !node_.cluster().IsLeaving(best)) {
    done(absl::UnavailableError(absl::StrCat("this node is being emptied for maintenance: ask ",
                                             best.id.value(), " to take over")));
  } else if (LeavesToOthers()) {
    done(absl::UnavailableError(
        "the disk of this node is full or slow: it leaves owning to others"));
  } else if (Last().owner == node_.self().id) {
    StartTakeover();
    done(absl::OkStatus());
  } else {
    if (!probe_.has_value()) {
      probe_ = ProbeRound{Last().epoch, node_.Now(), {}};
      Outbox out;
      out.Send(Last().owner, Probe{id_, Last().epoch});
      node_.Send(std::move(out));
    }
    probe_->done.push_back(std::move(done));
  }
}

bool PartitionDriver::ProbeIsOver(absl::Time now) const {
  const absl::Duration waited = now - probe_->asked;
  // A heartbeat must have had the time to come that tells busy from gone.
  if (waited < std::max(kProbeLimit, 1.5 * node_.options().liveness.heartbeat_every)) return false;
  return waited >= kBusyProbeLimit || !node_.cluster().HasAnswered(Last().owner, probe_->asked);
}

void PartitionDriver::EndProbe(bool owns) {
  // Another owner since, perhaps this node itself, is not the one that was probed.
  if (!owns && probe_->epoch == Last().epoch) StartTakeover();
  FinishProbe(absl::OkStatus());
}

void PartitionDriver::FinishProbe(absl::Status status) {
  if (!probe_.has_value()) return;
  std::vector<StatusCallback> waiting = std::move(probe_->done);
  probe_.reset();
  for (StatusCallback& done : waiting) done(status);
}

// With fewer a takeover ends nowhere, and its fences may reach an owner that this node only does
// not hear: one that is cut off one way would stop the others again and again.
bool PartitionDriver::HearsEnoughToSeal() const {
  const Segment& open = Last();
  ReplicaMask heard = 0;
  for (size_t i = 0; i < open.replicas.size(); ++i) {
    if (node_.cluster().IsAlive(open.replicas[i].node)) heard |= ReplicaMask{1} << i;
  }
  return IsSealQuorum(open.rule, open.replicas, heard);
}

void PartitionDriver::StartTakeover() {
  const absl::Time now = node_.Now();
  if (sealer_ != nullptr || swapping_ || now < next_attempt_ || node_.self().draining ||
      !node_.store_status().ok() || !HasChain() || !HearsEnoughToSeal()) {
    return;
  }
  if (owner_ != nullptr) owner_->BeginRoll();  // its own segment is about to be sealed
  Log(LogLevel::kInfo, absl::StrCat(id_.ToString(), ": taking over from ", Last().owner.value(),
                                    " at epoch ", Last().epoch.value()));
  attempt_started_ = now;
  sealer_ = std::make_unique<SealerCore>(id_, chain_.version, chain_.chain, node_.self(),
                                         node_.NewRequest());
  Outbox out;
  sealer_->Start(node_.cluster().LiveNodes(), now, out);
  AfterSealerStep(std::move(out));
}

void PartitionDriver::AfterSealerStep(Outbox out) {
  node_.Send(std::move(out));
  if (sealer_ == nullptr || swapping_) return;
  if (sealer_->phase() == SealerCore::Phase::kReady) {
    ProposeTakeover();
  } else if (sealer_->phase() == SealerCore::Phase::kFenced ||
             node_.Now() - attempt_started_ > kAttemptLimit) {
    if (sealer_->phase() != SealerCore::Phase::kFenced) WarnOfTakeover();
    EndAttempt();
    ReadChainAgain();
  }
}

// At most every kWarnEvery: attempts follow each other for as long as it takes.
void PartitionDriver::WarnOfTakeover() {
  if (node_.Now() - warned_at_ < kWarnEvery) return;
  warned_at_ = node_.Now();
  Log(LogLevel::kWarning,
      absl::StrCat(id_.ToString(),
                   ": cannot be taken over yet, appends to it wait: ", sealer_->WaitsFor()));
}

void PartitionDriver::EndAttempt() {
  sealer_.reset();
  // Random, so that two would-be owners do not fence each other for ever.
  next_attempt_ =
      node_.Now() + node_.random().Between(absl::Milliseconds(20), absl::Milliseconds(200));
}

void PartitionDriver::ProposeTakeover() {
  auto placed = PlaceOpen();
  if (!placed.has_value()) {
    EndAttempt();
    return;
  }
  Segment open;
  open.rule = placed->rule;
  open.replicas = std::move(placed->replicas);
  swapping_ = true;
  const Epoch epoch = sealer_->fence();
  // The sealer is kept until the outcome is known, for its table.
  auto sealer = std::shared_ptr<SealerCore>(std::move(sealer_));
  node_.chains().Swap(id_, sealer->chain_version(), sealer->Proposal(std::move(open)),
                      [this, sealer, epoch](ChainSwap swap) {
                        FinishSwap(std::move(swap.now));
                        EndAttempt();
                        // cas-first: owner only once the chain says so.
                        if (IsMine(Last()) && Last().epoch == epoch && owner_ == nullptr) {
                          BecomeOwner(sealer->TakeTable());
                          LearnDigests(sealer->TakeRecent());
                        }
                      });
}

// A swap holds up all commits until its outcome is known, so the metadata store has to prove first
// that it takes writes: while it does not, the open segment goes on
// (docs/design/protocol.md#metadata). A read proves nothing: SQLite serves reads while another
// process holds its write lock.
void PartitionDriver::SurveyRoll() {
  if (asking_before_roll_ || !PlaceForRoll().has_value()) return;
  asking_before_roll_ = true;
  node_.chains().AskForWrites(node_.self(), [this](bool takes) {
    asking_before_roll_ = false;
    if (!takes) return;  // the next survey asks again
    if (owner_ == nullptr || swapping_ || sealer_ != nullptr) return;
    if (auto placed = PlaceForRoll()) Roll(*std::move(placed));
  });
}

std::optional<Placement> PartitionDriver::PlaceOpen() const {
  return PlaceSegment(id_, stream_, node_.self(), node_.cluster().LiveNodes(),
                      [this](const NodeRecord& node) { return node_.cluster().IsLeaving(node); });
}

// Where the next segment goes, and its rule, if it is time for one.
std::optional<Placement> PartitionDriver::PlaceForRoll() const {
  if (fenced_since_.has_value() || owner_->rolling()) return std::nullopt;
  auto placed = PlaceOpen();
  if (!placed.has_value() || !RollIsDue(placed->replicas)) return std::nullopt;
  return placed;
}

bool PartitionDriver::RollIsDue(const std::vector<Replica>& placed) const {
  const Segment& segment = owner_->segment();
  const std::vector<Replica>& now = segment.replicas;
  const int zones = ZoneCount(now, AllOf(now));
  const int placed_zones = ZoneCount(placed, AllOf(placed));
  if (placed_zones > zones || placed.size() > now.size()) return true;  // a zone or node is back
  for (const Replica& replica : now) {
    const NodeRecord* record = node_.cluster().Record(replica.node);
    const bool there = record != nullptr && record->incarnation == replica.incarnation &&
                       node_.cluster().IsAlive(replica.node);
    // One that drains is replaced only if another can take its place; one that an operator wants
    // emptied, or whose disk is full, as soon as the others are enough to acknowledge.
    const bool unplaced = there && IndexOf(placed, replica.node) < 0;
    const bool leaves = unplaced && record->draining && placed.size() >= now.size();
    const bool gives_way = unplaced && (record->disk_full || node_.cluster().IsLeaving(*record));
    if (!there || leaves || gives_way) return true;
  }
  const SegmentOptions& limits = node_.options().segment;
  const bool short_of_zones = zones < stream_.copies;
  const uint64_t bytes_max = short_of_zones ? limits.short_of_zones_bytes_max : limits.bytes_max;
  return owner_->segment_bytes() > bytes_max ||
         (owner_->committed() > segment.base && node_.Now() - owner_->opened_at() > limits.age_max);
}

void PartitionDriver::Roll(Placement placement) {
  owner_->BeginRoll();
  Chain chain = chain_.chain;
  const Epoch epoch = Next(owner_->segment().epoch);
  const Offset base = owner_->segment().base;
  if (owner_->committed() == base && (chain.segments.size() > 1 || base == Offset())) {
    chain.segments.pop_back();  // an empty segment is replaced, unless only it has the snapshot
  } else {
    chain.segments.back().end = owner_->committed();
  }
  chain.segments.push_back(Segment{epoch, owner_->committed(), std::nullopt, placement.rule,
                                   std::move(placement.replicas), node_.self().id,
                                   node_.self().life});
  swapping_ = true;
  node_.chains().SwapOrNot(id_, chain_.version, std::move(chain), [this, epoch](ChainSwap swap) {
    swapping_ = false;
    OwnerOutput out;
    if (swap.now.chain.segments.empty()) {  // the store has stopped taking writes just now
      if (owner_ != nullptr) owner_->AbortRoll(node_.Now(), out);
      Flush(std::move(out));
      return FinishSwap({});
    }
    const Segment& last = swap.now.chain.segments.back();
    const bool mine = owner_ != nullptr && IsMine(last);
    if (mine && last.epoch == epoch) {
      chain_ = std::move(swap.now);
      node_.Write(node_.replicas().core().OnChain(id_, chain_.version, chain_.chain));
      owner_->SetSnapshotFormat(node_.cluster().SnapshotFormat());
      owner_->FinishRoll(Last(), node_.Now(), out);
      out.readable_more = true;
      Log(LogLevel::kInfo, absl::StrCat(id_.ToString(), ": new segment at epoch ", epoch.value(),
                                        " on ", Last().replicas.size(), " replicas"));
    } else if (mine && last.epoch == owner_->segment().epoch) {
      owner_->AbortRoll(node_.Now(), out);
    }
    Flush(std::move(out));
    FinishSwap(std::move(swap.now));
  });
}

void PartitionDriver::SurveyRepair() {
  if (chain_.chain.segments.size() == 1) {  // nothing is sealed: most of many partitions
    repair_.reset();
    return;
  }
  if (repair_ == nullptr) {
    repair_ = std::make_unique<RepairCore>(id_, node_.self().id, node_.NewRequest());
  }
  Outbox out;
  repair_->Survey({chain_.version, chain_.chain, stream_.copies, node_.cluster().RepairNodes(),
                   owner_->trim_floor()},
                  node_.Now(), out);
  node_.Send(std::move(out));
  if (auto corrected = repair_->Proposal()) SwapEdited(*std::move(corrected));
}

void PartitionDriver::SurveyDamage() {
  if (node_.replicas().core().damaged().empty() && (mender_ == nullptr || mender_->Idle())) {
    mender_.reset();
    return;
  }
  if (mender_ == nullptr) {
    mender_ = std::make_unique<MendCore>(id_, node_.self().id, node_.NewRequest());
  }
  Outbox out;
  node_.Write(mender_->Survey(
      {chain_.version, chain_.chain, stream_.copies, node_.cluster().RepairNodes(), Offset()},
      node_.replicas().core(), node_.Now(), out));
  node_.Send(std::move(out));
  for (const std::string& warning : mender_->TakeWarnings()) Log(LogLevel::kError, warning);
}

// A change of sealed segments only: the open one, and so the ownership, stays as it is.
void PartitionDriver::SwapEdited(Chain chain) {
  swapping_ = true;
  node_.chains().Swap(id_, chain_.version, std::move(chain),
                      [this](ChainSwap swap) { FinishSwap(std::move(swap.now)); });
}

void PartitionDriver::SurveyTrim() {
  if (owner_ != nullptr && trim_wish_ > owner_->trim_floor()) {
    OwnerOutput out;
    owner_->SetTrimFloor(std::min(trim_wish_, owner_->committed()), node_.Now(), out);
    Flush(std::move(out));
  }
  if (!HasChain() || trim_wish_ == Offset()) return;
  const Offset floor = owner_ != nullptr ? owner_->trim_floor() : trim_wish_;
  node_.replicas().Trim(id_, chain_.chain, {floor, node_.cluster().SnapshotFormat()});
  if (owner_ == nullptr || swapping_ || sealer_ != nullptr) return;
  Chain trimmed = chain_.chain;
  std::erase_if(trimmed.segments, [&](const Segment& segment) {
    return segment.end.has_value() && *segment.end <= owner_->trim_floor();
  });
  // The snapshot of the open segment replaces what earlier segments tell about producers.
  if (trimmed.segments.size() < chain_.chain.segments.size() && owner_->OpenedOnQuorum()) {
    SwapEdited(std::move(trimmed));
  }
}

}  // namespace forebay
