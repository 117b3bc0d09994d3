// The faults of a simulated world.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "simulation/world.h"

namespace forebay {
namespace {

constexpr absl::Duration kSoon = absl::Milliseconds(50);

}  // namespace

void World::ScheduleFaults() {
  for (const auto& [fault, every] : plan_.faults) ScheduleFault(fault, every);
}

void World::ScheduleFault(Fault fault, absl::Duration every) {
  simulation_.After(Draw(absl::ZeroDuration(), 2 * every), [this, fault, every] {
    if (!faulty_) return;
    Inject(fault);
    ScheduleFault(fault, every);
  });
}

SimNode& World::AnyNode() { return *nodes_[random_.Below(nodes_.size())]; }

void World::StartLater(SimNode& node, absl::Duration after) {
  simulation_.After(after, [this, &node] {
    if (node.running()) return;
    Note(absl::StrCat("START ", node.id().value()));
    node.Start();
  });
}

void World::Inject(Fault fault) {
  switch (fault) {
    case Fault::kPowerCut:
      Note("POWER CUT");
      for (const auto& node : nodes_) {
        if (node->running()) node->Kill();
        StartLater(*node, Draw(kSoon, absl::Seconds(3)));
      }
      break;
    case Fault::kZoneDown: {
      const ZoneId zone = AnyNode().zone();
      Note(absl::StrCat("ZONE DOWN ", zone.value()));
      for (const auto& node : nodes_) {
        if (node->zone() != zone) continue;
        if (node->running()) node->Kill();
        StartLater(*node, Draw(absl::Seconds(2), absl::Seconds(15)));
      }
      break;
    }
    case Fault::kMetadataAll:
      Note("METADATA STORE DOWN");
      for (const auto& node : nodes_) node->SetMetadataReachable(false);
      simulation_.After(Draw(absl::Seconds(1), absl::Seconds(6)), [this] {
        for (const auto& node : nodes_) node->SetMetadataReachable(true);
      });
      break;
    case Fault::kSinkDown:
      Note("SINK DOWN");
      database_->DownUntil(simulation_.Now() + Draw(absl::Seconds(1), absl::Seconds(6)));
      break;
    case Fault::kClientCrash:
      Note("CLIENT CRASH");
      CrashClient(*clients_[random_.Below(clients_.size())]);
      break;
    case Fault::kRace:
      InjectRace();
      break;
    case Fault::kTakeOver:
    case Fault::kHandOver:
      InjectTakeOver(fault == Fault::kHandOver);
      break;
    case Fault::kIsolate:
    case Fault::kCutLink:
    case Fault::kFlap:
    case Fault::kClientCut:
    case Fault::kMetadataNode:
      InjectInNetwork(fault, AnyNode());
      break;
    default:
      if (!InjectInAnyNode(fault)) return;
  }
  faults_done_[fault]++;
}

bool World::InjectInAnyNode(Fault fault) {
  SimNode& node = AnyNode();
  if (!node.running() || IsStopping(node)) return false;
  const bool takes_copies =
      fault == Fault::kWipe || fault == Fault::kTornLog || fault == Fault::kDamage;
  if (takes_copies && !MayWipe()) return false;
  // Damage stays, so only one node may have any.
  if (takes_copies && !damaged_.empty() && damaged_ != node.id()) return false;
  Note(absl::StrCat(NameOf(fault), " ", node.id().value()));
  InjectInNode(fault, node);
  return true;
}

bool World::IsStopping(const SimNode& node) const {
  auto life = stopping_.find(node.id());
  return node.running() && life != stopping_.end() && life->second == node.life_number();
}

void World::InjectInNode(Fault fault, SimNode& node) {
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
    case Fault::kWipe:
      node.Kill();
      node.Wipe();
      StartLater(node, Draw(kSoon, absl::Seconds(3)));
      break;
    case Fault::kTornLog:
      node.Kill();
      node.TearLog();
      StartLater(node, Draw(kSoon, absl::Seconds(3)));
      break;
    case Fault::kDamage:
      if (node.DamageBlock()) damaged_ = node.id();
      break;
    case Fault::kFailSync:
      node.FailNextSync();
      simulation_.After(Draw(kSoon, absl::Seconds(5)), [this, &node, life] {
        if (!node.running() || node.life_number() != life) return;
        node.Kill();
        StartLater(node, kSoon);
      });
      break;
    case Fault::kStop:
      if (node.frozen()) return;
      stopping_[node.id()] = life;
      node.Stop([this, &node] {
        Note(absl::StrCat("STOPPED ", node.id().value()));
        StartLater(node, Draw(kSoon, absl::Seconds(4)));
      });
      // As an operator would: SIGKILL when it takes too long.
      simulation_.After(absl::Seconds(10), [this, &node, life] {
        if (!node.running() || node.life_number() != life) return;
        node.Kill();
        StartLater(node, kSoon);
      });
      break;
    case Fault::kStallDisk:
      node.StallDisk(true);
      simulation_.After(Draw(kSoon, absl::Seconds(3)), [&node, life] {
        if (node.running() && node.life_number() == life) node.StallDisk(false);
      });
      break;
    default:
      break;
  }
}

void World::CutFor(const NodeId& from, const NodeId& to, absl::Duration time) {
  network_.Cut(from, to);
  simulation_.After(time, [this, from, to] { network_.Join(from, to); });
}

void World::Flap(const NodeId& from, const NodeId& to, int times) {
  if (times == 0 || !faulty_) return;
  const absl::Duration period = Draw(absl::Milliseconds(50), absl::Seconds(1));
  CutFor(from, to, period);
  simulation_.After(2 * period, [this, from, to, times] { Flap(from, to, times - 1); });
}

void World::InjectInNetwork(Fault fault, SimNode& node) {
  const NodeId other = AnyNode().id();
  const absl::Duration time = Draw(absl::Milliseconds(300), absl::Seconds(10));
  Note(absl::StrCat(NameOf(fault), " ", node.id().value(), " ", other.value(), " for ",
                    absl::FormatDuration(time)));
  switch (fault) {
    case Fault::kIsolate: {
      const uint64_t directions = 1 + random_.Below(3);
      const bool from_clients = random_.Chance(0.5);
      for (const auto& peer : nodes_) {
        if (peer->id() == node.id()) continue;
        if (directions & 1) CutFor(node.id(), peer->id(), time);
        if (directions & 2) CutFor(peer->id(), node.id(), time);
      }
      for (const auto& client : clients_) {
        if (!from_clients) continue;
        CutFor(client->id, node.id(), time);
        CutFor(node.id(), client->id, time);
      }
      break;
    }
    case Fault::kCutLink:
      if (other != node.id()) CutFor(node.id(), other, time);
      break;
    case Fault::kFlap:
      if (other != node.id()) Flap(node.id(), other, 10);
      break;
    case Fault::kClientCut: {
      const NodeId client = clients_[random_.Below(clients_.size())]->id;
      CutFor(client, node.id(), time);
      CutFor(node.id(), client, time);
      break;
    }
    default:
      node.SetMetadataReachable(false);
      simulation_.After(time, [&node] { node.SetMetadataReachable(true); });
  }
}

void World::InjectTakeOver(bool hand_over) {
  const PartitionId partition{plan_.stream.name,
                              static_cast<uint32_t>(random_.Below(plan_.stream.partitions))};
  const Chain& chain = *invariants_->ChainOf(partition);
  if (chain.segments.empty()) return;
  for (int i = 0; i < 2; i++) {  // two at once is where races are
    SimNode& node = AnyNode();
    if (!node.running() || node.frozen() || IsStopping(node)) continue;
    Note(absl::StrCat(hand_over ? "hand-over by " : "take-over by ", node.id().value(), " of ",
                      partition.ToString()));
    if (hand_over) {
      node.replicator()->HandOver(partition, random_.Chance(0.5) ? NodeId() : AnyNode().id(),
                                  [](const absl::Status&) {});
    } else {
      node.replicator()->TakeOver(partition, chain.segments.back().epoch,
                                  [](const absl::Status&) {});
    }
  }
}

// The owner does not hear of the takeover, and still reaches a replica that was fenced: what that
// one remembers over a restart decides.
void World::InjectRace() {
  const auto index = static_cast<uint32_t>(random_.Below(plan_.stream.partitions));
  SimNode* owner = Owner(index);
  SimNode& taker = AnyNode();
  SimNode& between = AnyNode();
  if (owner == nullptr || owner == &taker || owner == &between || &taker == &between) return;
  if (!taker.running() || !between.running()) return;
  const PartitionId partition{plan_.stream.name, index};
  const Epoch epoch = invariants_->ChainOf(partition)->segments.back().epoch;
  const absl::Duration time = Draw(absl::Seconds(1), absl::Seconds(5));
  Note(absl::StrCat("race: ", taker.id().value(), " takes ", partition.ToString(), " from ",
                    owner->id().value(), ", ", between.id().value(), " between them"));
  owner->SetMetadataReachable(false);
  simulation_.After(time, [owner] { owner->SetMetadataReachable(true); });
  CutFor(owner->id(), taker.id(), time);
  CutFor(taker.id(), owner->id(), time);
  taker.replicator()->TakeOver(partition, epoch, [](const absl::Status&) {});
  simulation_.After(Draw(absl::Milliseconds(100), absl::Seconds(1)), [this, &between] {
    if (!between.running()) return;
    between.Kill();
    StartLater(between, Draw(absl::Milliseconds(1), absl::Milliseconds(50)));
  });
}

// One disk at a time, and the next only when everything has all its copies again: more is not
// promised.
bool World::MayWipe() const {
  for (const auto& node : nodes_) {
    if (!node->running()) return false;
  }
  return invariants_
      ->UnderReplicated(static_cast<size_t>(plan_.stream.copies), static_cast<size_t>(plan_.zones))
      .empty();
}

void World::Heal() {
  Note("HEAL");
  faulty_ = false;
  network_.Heal();
  SinkFaults well;
  well.poison = plan_.sink.poison;
  database_->SetFaults(well);
  database_->DownUntil(absl::InfinitePast());
  MemoryMetadataFaults healthy;
  healthy.delay_min = absl::Microseconds(200);
  healthy.delay_max = absl::Milliseconds(2);
  for (const auto& node : nodes_) {
    node->SetMetadataReachable(true);
    node->SetMetadataFaults(healthy);
    if (node->frozen()) node->Thaw();
    node->StallDisk(false);
    StartLater(*node, kSoon);
  }
}

}  // namespace forebay
