// The faults of single nodes in a simulated world.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "simulation/world.h"

namespace forebay {
namespace {

constexpr absl::Duration kSoon = absl::Milliseconds(50);
// By then all know that a disk is lost, however slow the metadata store is.
constexpr absl::Duration kLossKnownWithin = absl::Seconds(10);
// An operator waits so long for a node that is to stop, or to be emptied.
constexpr absl::Duration kStopLimit = absl::Seconds(10);
constexpr absl::Duration kEvacuationLimit = absl::Seconds(15);

bool TakesCopies(Fault fault) {
  return fault == Fault::kWipe || fault == Fault::kReplace || fault == Fault::kTornLog ||
         fault == Fault::kLostSyncs || fault == Fault::kDamage || fault == Fault::kMisdirect;
}

}  // namespace

// One disk at a time, and the next only when everything has all its copies again: more is not
// promised.
bool World::MayWipe() const {
  for (const auto& node : nodes_) {
    if (!node->running() && node->life_number() > 0) return false;
  }
  return invariants_
      ->UnderReplicated(static_cast<size_t>(plan_.stream.copies), static_cast<size_t>(plan_.zones))
      .empty();
}

bool World::MayTakeCopies(Fault fault, const SimNode& node) const {
  if (!MayWipe()) return false;
  // Where one copy is enough for an acknowledgement, a disk that lies is one too many; and a
  // segment that is about to be opened may have only the one that would be lost. So it may
  // anywhere, if it was named before it was known that another disk is lost.
  const bool degraded = plan_.stream.on_zone_shortfall == ZoneShortfall::kAcceptDegraded;
  const bool opening = !watch_.NodesIn(ProtocolState::kSwapping).empty() ||
                       !watch_.NodesIn(ProtocolState::kRolling).empty();
  if (degraded && fault == Fault::kLostSyncs) return false;
  if (opening && (degraded || simulation_.Now() - copies_taken_ < kLossKnownWithin)) return false;
  return std::none_of(nodes_.begin(), nodes_.end(), [&](const auto& other) {
    return other.get() != &node && (other->HasDamage() || other->loses_syncs());
  });
}

bool World::InjectInAnyNode(Fault fault) {
  SimNode& node = AnyNode();
  if (!node.running() || IsStopping(node)) return false;
  if (TakesCopies(fault) && !MayTakeCopies(fault, node)) return false;
  Hit(fault, {&node});
  Note(absl::StrCat(NameOf(fault), " ", node.id().value()));
  if (TakesCopies(fault)) {
    copies_taken_ = simulation_.Now();
    DamageDisk(fault, node);
  } else if (fault == Fault::kDiskFull || fault == Fault::kSlowDisk || fault == Fault::kStallDisk ||
             fault == Fault::kFailSync) {
    TroubleDisk(fault, node);
  } else {
    TroubleProcess(fault, node);
  }
  return true;
}

bool World::IsStopping(const SimNode& node) const {
  auto life = stopping_.find(node.id());
  return node.running() && life != stopping_.end() && life->second == node.life_number();
}

void World::KillLater(SimNode& node, absl::Duration after, absl::Duration down) {
  simulation_.After(after, [this, &node, down, life = node.life_number()] {
    if (!node.running() || node.life_number() != life) return;
    Note(absl::StrCat("KILL ", node.id().value()));
    node.Kill();
    StartLater(node, down);
  });
}

void World::DamageDisk(Fault fault, SimNode& node) {
  switch (fault) {
    case Fault::kWipe:
    case Fault::kReplace:
      node.Kill();
      node.Wipe();
      StartLater(node, fault == Fault::kWipe ? Draw(kSoon, absl::Seconds(3))
                                             : Draw(absl::Seconds(4), absl::Seconds(12)));
      break;
    case Fault::kTornLog:
      node.Kill();
      node.TearLog();
      StartLater(node, Draw(kSoon, absl::Seconds(3)));
      break;
    case Fault::kLostSyncs:
      node.LoseSyncs();
      KillLater(node, Draw(kSoon, absl::Seconds(4)), Draw(kSoon, absl::Seconds(3)));
      break;
    case Fault::kMisdirect:
      node.Misdirect();
      break;
    default:
      node.DamageBlock();
  }
}

void World::TroubleDisk(Fault fault, SimNode& node) {
  const uint64_t life = node.life_number();
  switch (fault) {
    case Fault::kFailSync:
      node.FailNextSync();
      break;
    case Fault::kDiskFull:
      node.SetDiskFull(true);
      simulation_.After(Draw(absl::Seconds(1), absl::Seconds(8)), [this, &node] {
        Note(absl::StrCat("SPACE ", node.id().value()));
        node.SetDiskFull(false);
      });
      break;
    case Fault::kSlowDisk:
      node.SlowDisk(static_cast<int>(20 + dice_.Below(400)));
      simulation_.After(Draw(absl::Seconds(1), absl::Seconds(6)), [&node] { node.SlowDisk(1); });
      break;
    default:
      node.StallDisk(true);
      simulation_.After(Draw(kSoon, absl::Seconds(3)), [&node, life] {
        if (node.running() && node.life_number() == life) node.StallDisk(false);
      });
  }
}

// As a supervisor would: the process ends itself, and is started anew.
void World::OnStoreFailed(SimNode& node) {
  Random dice(node.life_number());
  const absl::Duration after = dice.Between(absl::Milliseconds(1), absl::Seconds(3));
  KillLater(node, after, dice.Between(kSoon, absl::Seconds(1)));
}

void World::TroubleProcess(Fault fault, SimNode& node) {
  const uint64_t life = node.life_number();
  switch (fault) {
    case Fault::kKill:
      node.Kill();
      StartLater(node, Draw(kSoon, absl::Seconds(6)));
      break;
    case Fault::kFreeze:
      node.Freeze();
      simulation_.After(Draw(kSoon, absl::Seconds(12)), [this, &node, life] {
        if (!node.running() || node.life_number() != life) return;
        Note(absl::StrCat("THAW ", node.id().value()));
        node.Thaw();
      });
      break;
    case Fault::kStop:
      if (!node.frozen()) Stop(node, Draw(kSoon, absl::Seconds(4)));
      break;
    case Fault::kEvacuate:
      if (!node.frozen()) Evacuate(node, Draw(kSoon, absl::Seconds(3)));
      break;
    case Fault::kClockJump:
      node.JumpClock(Draw(absl::Seconds(1), absl::Hours(2)),
                     Draw(absl::ZeroDuration(), absl::Hours(2000)) - absl::Hours(1000));
      break;
    default:
      break;
  }
}

void World::Stop(SimNode& node, absl::Duration down) {
  stopping_[node.id()] = node.life_number();
  node.Stop([this, &node, down] {
    Note(absl::StrCat("STOPPED ", node.id().value()));
    StartLater(node, down);
  });
  // As an operator would: SIGKILL when it takes too long.
  KillLater(node, kStopLimit, kSoon);
}

// Whether some chain still names it, sealed segments and all.
bool World::IsNamed(const SimNode& node) const {
  for (uint32_t i = 0; i < plan_.stream.partitions; i++) {
    for (const Segment& segment : invariants_->ChainOf({plan_.stream.name, i})->segments) {
      for (const Replica& replica : segment.replicas) {
        if (replica.node == node.id()) return true;
      }
    }
  }
  return false;
}

void World::Evacuate(SimNode& node, absl::Duration down) {
  stopping_[node.id()] = node.life_number();
  node.replicator()->HandOverAll([](const absl::Status&) {});
  FinishEvacuation(node, simulation_.Now() + kEvacuationLimit, down);
}

void World::FinishEvacuation(SimNode& node, absl::Time limit, absl::Duration down) {
  simulation_.After(absl::Milliseconds(100), [this, &node, limit, down, life = node.life_number()] {
    if (!node.running() || node.life_number() != life) return;
    // A disk goes, so no other may be lacking: a takeover under way may still count on this one.
    const bool empty = !IsNamed(node) && MayTakeCopies(Fault::kWipe, node);
    if (!empty && simulation_.Now() < limit && faulty_) return FinishEvacuation(node, limit, down);
    Note(absl::StrCat(empty ? "EVACUATED " : "NOT EVACUATED ", node.id().value()));
    if (empty) {
      evacuations_++;
      copies_taken_ = simulation_.Now();
    }
    node.Kill();
    if (empty) node.Wipe();
    StartLater(node, down);
  });
}

}  // namespace forebay
