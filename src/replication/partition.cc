#include "replication/partition.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "replication/core/placement.h"
#include "replication/core/quorum.h"
#include "runtime/log.h"

namespace forebay {
namespace {

// How long an owner that hands over waits for what is in flight before it asks the other.
constexpr absl::Duration kDrainBeforeHandOver = absl::Milliseconds(500);
constexpr absl::Duration kAskHandOverAgain = absl::Milliseconds(100);
constexpr absl::Duration kHandOverLimit = absl::Seconds(5);

constexpr absl::Duration kRetryWhenFull = absl::Milliseconds(500);

}  // namespace

PartitionDriver::PartitionDriver(NodeState& node, OwnershipListener& listener, PartitionId id,
                                 StreamOptions stream)
    : node_(node), listener_(listener), id_(std::move(id)), stream_(std::move(stream)) {}

PartitionDriver::~PartitionDriver() = default;

bool PartitionDriver::IsMine(const Segment& segment) const {
  return segment.owner == node_.self().id && segment.owner_life == node_.self().life;
}

void PartitionDriver::Append(Block block, absl::Time arrived, AppendDone done) {
  if (auto refusal = Refusal()) {
    done({.outcome = Outcome::kNotStored, .status = *std::move(refusal)});
    return;
  }
  const Ticket ticket = ++tickets_;
  waiting_[ticket] = {std::move(done)};
  OwnerOutput out;
  const Offset before = owner_->next();
  owner_->Append(std::move(block), ticket, node_.Now(), out);
  if (owner_->next() > before) stages_->OnAppended(owner_->next(), arrived);
  Flush(std::move(out));
  MirrorSoon();
}

// Why an append cannot be taken now; nothing when it can.
std::optional<absl::Status> PartitionDriver::Refusal() const {
  const auto refuse = [&](const std::string& why, absl::Duration retry_after) {
    return WithRetryAfter(absl::UnavailableError(absl::StrCat(id_.ToString(), ": ", why)),
                          retry_after);
  };
  if (!node_.store_status().ok()) {
    return refuse("the store of this node has failed", absl::Milliseconds(100));
  }
  if (owner_ == nullptr) {
    return refuse(HasChain()
                      ? absl::StrCat("this node is not the owner, ", Last().owner.value(), " is")
                      : std::string("has no owner yet"),
                  absl::ZeroDuration());
  }
  if (hand_over_ != nullptr || node_.self().draining) {
    return refuse("is being handed over", absl::Milliseconds(20));
  }
  const Segment& segment = owner_->segment();
  ReplicaMask alive = 0;
  for (size_t i = 0; i < segment.replicas.size(); i++) {
    if (node_.cluster().IsAlive(segment.replicas[i].node)) alive |= ReplicaMask{1} << i;
  }
  if (!IsAckQuorum(segment.rule, segment.replicas, alive)) {
    return refuse(absl::StrCat("too few zones are alive for ack_copies ", segment.rule.ack_copies,
                               " in ack_zones ", segment.rule.ack_zones),
                  absl::Milliseconds(100));
  }
  return RefusalForSpace(alive);
}

// At its limit a node takes no appends, nor do others count on it: docs/design/protocol.md#limits
std::optional<absl::Status> PartitionDriver::RefusalForSpace(ReplicaMask alive) const {
  const auto refuse = [&](const std::string& why) {
    return WithRetryAfter(
        absl::ResourceExhaustedError(absl::StrCat(
            id_.ToString(), ": ", why, "; appends go on by themselves when space has come back")),
        kRetryWhenFull);
  };
  const bool essential = node_.options().essential_streams.contains(id_.stream);
  if (essential ? node_.disk().on_reserve() : node_.disk().full()) {
    return refuse(node_.disk().Level());
  }
  if (essential) return std::nullopt;
  const Segment& segment = owner_->segment();
  ReplicaMask roomy = alive;
  std::string full;
  for (size_t i = 0; i < segment.replicas.size(); i++) {
    const NodeRecord* record = node_.cluster().Record(segment.replicas[i].node);
    if (record == nullptr || !record->disk_full) continue;
    roomy &= ~(ReplicaMask{1} << i);
    absl::StrAppend(&full, full.empty() ? "" : ", ", record->id.value());
  }
  if (IsAckQuorum(segment.rule, segment.replicas, roomy)) return std::nullopt;
  return refuse(absl::StrCat("too few disks have room for ack_copies ", segment.rule.ack_copies,
                             " in ack_zones ", segment.rule.ack_zones,
                             ": at disk.refuse_at_percent or disk.reserve_bytes are ", full));
}

void PartitionDriver::MirrorSoon() {
  if (std::exchange(mirror_is_due_, true)) return;
  node_.batch().AtEnd([this] {
    mirror_is_due_ = false;
    if (owner_ == nullptr) return;
    OwnerOutput out;
    const absl::Time now = node_.Now();
    owner_->Mirror(now, out);
    NoteStages(now);
    Flush(std::move(out));
  });
}

void PartitionDriver::NoteStages(absl::Time now) {
  if (!stages_->empty()) stages_->OnReach(owner_->reach(), now, node_.stages());
}

// An acknowledgement does not need it there, so it goes with the next message to that node.
void PartitionDriver::MirrorLater(const NodeId& to) {
  if (!rest_.insert(to).second) return;
  node_.batch().PiggybackOn(to, [this, to] {
    rest_.erase(to);
    if (owner_ == nullptr) return;
    OwnerOutput out;
    owner_->MirrorTo(to, node_.Now(), out);
    Flush(std::move(out));
  });
}

void PartitionDriver::Flush(OwnerOutput out) {
  node_.Send(std::move(out.outbox));
  for (auto& [ticket, result] : out.results) {
    auto waiting = waiting_.extract(ticket);
    if (!waiting.empty()) waiting.mapped().done(std::move(result));
  }
  for (auto& [to, from] : out.catch_ups) CatchUp(to, from);
  for (const NodeId& to : out.rest) MirrorLater(to);
  if (out.readable_more) AnnounceCommitted();
  if (out.fenced.has_value() && !fenced_since_.has_value()) {
    fenced_since_ = node_.Now();
    ReadChainAgain();
  }
}

void PartitionDriver::AnnounceCommitted() {
  if (owner_ == nullptr || !listener_.committed) return;
  listener_.committed(id_, owner_->segment().epoch, owner_->readable());
}

void PartitionDriver::ReadChainAgain() {
  node_.chains().Read(id_, [this](VersionedChain chain) { OnChain(std::move(chain)); });
}

void PartitionDriver::OnChain(VersionedChain chain) {
  if (swapping_) {
    if (!newer_.has_value() || chain.version > newer_->version) newer_ = std::move(chain);
    return;
  }
  if (chain.version > chain_.version && !chain.chain.segments.empty()) Adopt(std::move(chain));
}

void PartitionDriver::Adopt(VersionedChain chain) {
  const bool new_owner = !HasChain() || chain.chain.segments.back().epoch != Last().epoch;
  chain_ = std::move(chain);
  node_.Write(node_.replicas().core().OnChain(id_, chain_.version, chain_.chain));
  sealer_.reset();  // it was about an older chain
  if (new_owner) gone_since_.reset();
  if (owner_ != nullptr && (owner_->segment().epoch != Last().epoch || !IsMine(Last()))) {
    LoseOwnership();
  }
}

void PartitionDriver::LoseOwnership() {
  OwnerOutput out;
  owner_->Settle(chain_.chain, out);
  owner_.reset();
  stages_.reset();
  repair_.reset();
  fenced_since_.reset();
  Flush(std::move(out));
  Log(LogLevel::kInfo, absl::StrCat(id_.ToString(), ": now owned by ", Last().owner.value(),
                                    " at epoch ", Last().epoch.value()));
  if (listener_.lost) listener_.lost(id_);
  FinishHandOver(absl::OkStatus());
}

void PartitionDriver::BecomeOwner(ProducerTable table) {
  const ReplicatorOptions& options = node_.options();
  owner_ =
      std::make_unique<OwnerCore>(id_, Last(), std::move(table),
                                  OwnerOptions{.window_bytes = options.window_bytes,
                                               .mirror_window_bytes = options.mirror_window_bytes,
                                               .snapshot_format = node_.cluster().SnapshotFormat()},
                                  node_.Now());
  stages_ = std::make_unique<StageTracker>();
  fenced_since_.reset();
  gone_since_.reset();
  Log(LogLevel::kInfo, absl::StrCat(id_.ToString(), ": this node owns it at epoch ",
                                    Last().epoch.value(), ", from offset ", Last().base.value()));
  OwnerOutput out;
  owner_->Mirror(node_.Now(), out);
  out.readable_more = true;
  Flush(std::move(out));
}

void PartitionDriver::LearnDigests(std::vector<StoredBlock> recent) {
  node_.replicas().ReadDigests(std::move(recent), [this](std::vector<StoredBlock> blocks) {
    if (owner_ == nullptr) return;
    for (const StoredBlock& stored : blocks) {
      const auto digest = stored.block.known_digest();
      if (digest.has_value()) owner_->SetDigest(stored.block.stamp(), stored.first, *digest);
    }
  });
}

void PartitionDriver::OnMessage(const NodeId& from, Message message) {
  const absl::Time now = node_.Now();
  if (const auto* reply = std::get_if<MirrorReply>(&message)) {
    if (owner_ == nullptr) return;
    OwnerOutput out;
    owner_->OnMirrorReply(from, *reply, now, out);
    NoteStages(now);
    Flush(std::move(out));
  } else if (const auto* request = std::get_if<MirrorRequest>(&message)) {
    trim_wish_ = std::max(trim_wish_, request->trim_floor);
  } else if (const auto* fence = std::get_if<FenceReply>(&message)) {
    Outbox out;
    if (sealer_ != nullptr) sealer_->OnFenceReply(from, *fence, now, out);
    AfterSealerStep(std::move(out));
  } else if (const auto* copy = std::get_if<CopyReply>(&message)) {
    Outbox out;
    if (mender_ != nullptr) mender_->OnCopyReply(from, *copy, now, out);
    if (repair_ != nullptr) repair_->OnCopyReply(from, *copy, now, out);
    if (sealer_ != nullptr) sealer_->OnCopyReply(from, *copy, now, out);
    AfterSealerStep(std::move(out));
  } else if (const auto* fetch = std::get_if<FetchReply>(&message)) {
    Outbox out;
    if (mender_ != nullptr) mender_->OnFetchReply(from, *fetch, now, out);
    if (repair_ != nullptr) repair_->OnFetchReply(from, *fetch, now, out);
    if (sealer_ != nullptr) sealer_->OnFetchReply(from, *fetch, now, out);
    AfterSealerStep(std::move(out));
    auto reader = remote_reads_.extract(fetch->request);
    if (!reader.empty()) FinishRemoteRead(*fetch, std::move(reader.mapped()));
  } else if (const auto* probe = std::get_if<Probe>(&message)) {
    const bool owns = owner_ != nullptr && owner_->segment().epoch >= probe->epoch &&
                      !fenced_since_.has_value() && node_.store_status().ok();
    Outbox out;
    out.Send(from, ProbeReply{id_, probe->epoch, owns});
    node_.Send(std::move(out));
  } else if (const auto* answer = std::get_if<ProbeReply>(&message)) {
    if (!probe_.has_value() || probe_->epoch != answer->epoch) return;
    EndProbe(answer->owns);
  } else if (const auto* hand_over = std::get_if<forebay::HandOver>(&message)) {
    if (!HasChain() || hand_over->epoch > Last().epoch) ReadChainAgain();
    if (HasChain() && hand_over->epoch == Last().epoch && !IsMine(Last())) StartTakeover();
  }
}

void PartitionDriver::OnPeerBack(const NodeId& peer) {
  if (owner_ == nullptr) return;
  OwnerOutput out;
  owner_->OnPeerBack(peer, node_.Now(), out);
  Flush(std::move(out));
}

bool PartitionDriver::Busy() const {
  return sealer_ != nullptr || probe_.has_value() || hand_over_ != nullptr ||
         (owner_ != nullptr && !owner_->Idle()) || (repair_ != nullptr && !repair_->Idle()) ||
         (mender_ != nullptr && !mender_->Idle());
}

bool PartitionDriver::Resting() const {
  return HasChain() && !Busy() && !swapping_ && !asking_before_roll_ && !asking_before_hand_over_ &&
         !gone_since_.has_value() && !fenced_since_.has_value();
}

void PartitionDriver::OnTick() {
  const absl::Time now = node_.Now();
  if (owner_ != nullptr) {
    OwnerOutput out;
    owner_->OnTick(now, out);
    Flush(std::move(out));
  }
  Outbox out;
  if (mender_ != nullptr) mender_->OnTick(now, out);
  if (repair_ != nullptr) repair_->OnTick(now, out);
  if (sealer_ != nullptr) sealer_->OnTick(node_.cluster().LiveNodes(), now, out);
  AfterSealerStep(std::move(out));
  if (probe_.has_value() && ProbeIsOver(now)) EndProbe(false);
  if (hand_over_ != nullptr) PursueHandOver();
}

void PartitionDriver::SetTrimFloor(Offset floor) { trim_wish_ = std::max(trim_wish_, floor); }

void PartitionDriver::HandOver(NodeId to, StatusCallback done) {
  if (owner_ == nullptr) {
    done(absl::FailedPreconditionError(
        absl::StrCat(id_.ToString(), " is not owned by this node",
                     HasChain() ? absl::StrCat(", but by ", Last().owner.value()) : "")));
    return;
  }
  if (to == node_.self().id) return done(absl::OkStatus());  // it owns it already
  if (to.empty()) {
    to = HandOverTarget();
  } else if (const NodeRecord* record = node_.cluster().Record(to);
             record != nullptr && !IsFitToOwn(*record) && !record->draining) {
    done(absl::FailedPreconditionError(
        absl::StrCat(id_.ToString(), " cannot be handed over: the disk of node ", to.value(),
                     record->disk_full ? " is full" : " is slow")));
    return;
  }
  if (to.empty() || !node_.cluster().IsAlive(to)) {
    done(absl::FailedPreconditionError(absl::StrCat(id_.ToString(), " cannot be handed over: ",
                                                    to.empty()
                                                        ? "no other replica is alive and in sync"
                                                        : "node " + to.value() + " is not alive")));
    return;
  }
  FinishHandOver(absl::AbortedError("another hand-over began"));
  hand_over_ = std::make_unique<HandOverRound>(HandOverRound{
      .to = std::move(to), .deadline = node_.Now() + kHandOverLimit, .done = std::move(done)});
  OwnerOutput out;
  owner_->MirrorToAll(node_.Now(), out);  // so that the other need not fetch it
  Flush(std::move(out));
  PursueHandOver();
}

// The best replica: alive, in sync, staying, with a disk that is fit. A node that leaves takes any
// other that stays rather than one that leaves too; a disk that is not fit still delivers.
NodeId PartitionDriver::HandOverTarget() const {
  NodeId leaving, unfit;
  for (const NodeId& node : owner_->InSync()) {
    const NodeRecord* record = node_.cluster().Record(node);
    if (node == node_.self().id || record == nullptr || record->draining ||
        !node_.cluster().IsAlive(node)) {
      continue;
    }
    if (!IsFitToOwn(*record)) {
      unfit = node;
    } else if (node_.cluster().IsLeaving(*record)) {
      leaving = node;
    } else {
      return node;
    }
  }
  if (!node_.cluster().IsLeaving(node_.self())) return leaving.empty() ? unfit : leaving;
  for (const NodeRecord& node : RendezvousOrder(id_, node_.cluster().LiveNodes())) {
    if (node.id != node_.self().id && !node_.cluster().IsLeaving(node) && IsFitToOwn(node))
      return node.id;
  }
  return NodeId();
}

// One that may keep what it gets.
NodeId PartitionDriver::Heir() const {
  const NodeId to = HandOverTarget();
  const NodeRecord* record = node_.cluster().Record(to);
  const bool keeps =
      record != nullptr && IsFitToOwn(*record) && !node_.cluster().IsLeaving(*record);
  return keeps ? to : NodeId();
}

void PartitionDriver::PursueHandOver() {
  const absl::Time now = node_.Now();
  HandOverRound& round = *hand_over_;
  if (now >= round.deadline) {
    FinishHandOver(absl::DeadlineExceededError(
        absl::StrCat(id_.ToString(), ": node ", round.to.value(), " did not take over within ",
                     absl::FormatDuration(kHandOverLimit))));
    return;
  }
  const bool settled = owner_->committed() == owner_->next();
  const bool waited = now >= round.deadline - kHandOverLimit + kDrainBeforeHandOver;
  if ((!settled && !waited) || now - round.asked_at < kAskHandOverAgain) return;
  round.asked_at = now;
  Outbox out;
  out.Send(round.to, forebay::HandOver{id_, owner_->segment().epoch});
  node_.Send(std::move(out));
}

void PartitionDriver::FinishHandOver(absl::Status status) {
  if (hand_over_ == nullptr) return;
  StatusCallback done = std::move(hand_over_->done);
  hand_over_.reset();
  done(std::move(status));
}

PartitionStatus PartitionDriver::Status() const {
  PartitionStatus status;
  status.partition = id_;
  status.chain_version = chain_.version;
  status.chain = chain_.chain;
  status.copies = stream_.copies;
  status.asked = {stream_.ack_copies, stream_.ack_zones};
  if (owner_ == nullptr) return status;
  status.owned_here = true;
  status.committed = owner_->committed();
  status.trim_floor = owner_->trim_floor();
  status.in_sync = owner_->InSync();
  for (const Segment& segment : chain_.chain.segments) {
    if (!segment.end.has_value() || *segment.end <= status.trim_floor) continue;
    std::vector<NodeId>& holders = status.holders[segment.epoch];
    if (repair_ != nullptr) holders = repair_->HoldersOf(segment);
  }
  if (repair_ != nullptr) status.under_replicated = repair_->under_replicated();
  if (static_cast<int>(status.in_sync.size()) < stream_.copies) status.under_replicated++;
  return status;
}

void PartitionDriver::Stop() {
  for (auto& [ticket, waiting] : std::exchange(waiting_, {})) {
    waiting.done({.outcome = Outcome::kUnknown,
                  .status = absl::DeadlineExceededError(absl::StrCat(
                      id_.ToString(), ": the node stopped before the outcome was known"))});
  }
  for (auto& [request, reader] : std::exchange(remote_reads_, {})) {
    reader.done(absl::CancelledError("the node stops"));
  }
  FinishProbe(absl::CancelledError("the node stops"));
  FinishHandOver(absl::CancelledError("the node stops"));
}

}  // namespace forebay
