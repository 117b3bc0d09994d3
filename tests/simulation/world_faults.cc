// The faults of a simulated world: when they come, and those that are no single node's.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "simulation/world.h"
#include "support/forge.h"

namespace forebay {
namespace {

constexpr absl::Duration kSoon = absl::Milliseconds(50);

}  // namespace

void World::ScheduleFaults() {
  for (const FaultEvent& event : plan_.script.events) {
    simulation_.After(event.at, [this, event] { Arm(event); });
  }
}

void World::Arm(const FaultEvent& event) {
  if (!faulty_) return;
  if (!event.when) return Inject(event);
  watch_.WaitFor(*event.when, [this, event] {
    const absl::Duration wait =
        Random(event.dice).Between(absl::ZeroDuration(), absl::Milliseconds(3));
    simulation_.After(wait, [this, event] {
      if (faulty_) Inject(event);
    });
  });
}

void World::Inject(const FaultEvent& event) {
  dice_ = Random(event.dice);
  aim_.clear();
  if (event.when && dice_.Chance(0.8)) aim_ = watch_.NodesIn(*event.when);
  if (InjectAnywhere(event.fault)) faults_done_[event.fault]++;
}

void World::Hit(Fault fault, const std::vector<SimNode*>& nodes) {
  for (int i = 0; i < static_cast<int>(ProtocolState::kCount); i++) {
    const auto state = static_cast<ProtocolState>(i);
    const bool met = std::any_of(nodes.begin(), nodes.end(), [&](const SimNode* node) {
      return node->running() && watch_.Is(state, node->id());
    });
    if (met) coverage_.Count(fault, state);
  }
}

SimNode& World::AnyNode() {
  if (!aim_.empty()) {
    const NodeId& aim = aim_[dice_.Below(aim_.size())];
    for (const auto& node : nodes_) {
      if (node->id() == aim) return *node;
    }
  }
  return *nodes_[dice_.Below(nodes_.size())];
}

void World::StartLater(SimNode& node, absl::Duration after) {
  simulation_.After(after, [this, &node] {
    if (node.running()) return;
    Note(absl::StrCat("START ", node.id().value()));
    node.Start();
  });
}

bool World::InjectAnywhere(Fault fault) {
  switch (fault) {
    case Fault::kPowerCut:
    case Fault::kPowerCutSome:
    case Fault::kZoneDown:
      CutPower(fault);
      return true;
    case Fault::kMetadataAll:
    case Fault::kMetadataSlow:
      InjectInMetadata(fault);
      return true;
    case Fault::kSinkDown:
    case Fault::kSinkTimeout: {
      Hit(fault, Nodes());
      const absl::Time until = simulation_.Now() + Draw(absl::Seconds(1), absl::Seconds(6));
      Note(absl::StrCat(NameOf(fault), " until ", absl::FormatDuration(until - start_)));
      fault == Fault::kSinkDown ? database_->DownUntil(until) : database_->TimeOutUntil(until);
      return true;
    }
    case Fault::kClientCrash:
      Hit(fault, Nodes());
      Note("CLIENT CRASH");
      CrashClient(*clients_[dice_.Below(clients_.size())]);
      return true;
    case Fault::kRace:
      return InjectRace();
    case Fault::kLie:
      return InjectLie();
    case Fault::kTakeOver:
    case Fault::kHandOver:
      InjectTakeOver(fault);
      return true;
    case Fault::kRollingRestart:
    case Fault::kRollingUpgrade:
      if (fault == Fault::kRollingUpgrade && !plan_.previous_version) return false;
      Note(NameOf(fault));
      RestartNext(fault, 0, Random(dice_.Next()));
      return true;
    case Fault::kAddNode:
      return AddNode();
    case Fault::kIsolate:
    case Fault::kCutLink:
    case Fault::kFlap:
    case Fault::kClientCut:
    case Fault::kMetadataNode:
      InjectInNetwork(fault, AnyNode());
      return true;
    default:
      return InjectInAnyNode(fault);
  }
}

void World::CutPower(Fault fault) {
  const ZoneId zone = AnyNode().zone();
  std::vector<SimNode*> nodes;
  for (const auto& node : nodes_) {
    if (node->life_number() == 0) continue;
    if (fault == Fault::kZoneDown && node->zone() != zone) continue;
    if (fault == Fault::kPowerCutSome && nodes.size() >= 2 && dice_.Chance(0.4)) continue;
    nodes.push_back(node.get());
  }
  Hit(fault, nodes);
  const absl::Duration longest = fault == Fault::kZoneDown ? absl::Seconds(15) : absl::Seconds(4);
  for (SimNode* node : nodes) {
    Note(absl::StrCat(NameOf(fault), " ", node->id().value()));
    if (node->running()) node->Kill();
    StartLater(*node, Draw(kSoon, longest));
  }
}

void World::InjectInMetadata(Fault fault) {
  Hit(fault, Nodes());
  const absl::Duration time = Draw(absl::Seconds(1), absl::Seconds(6));
  Note(absl::StrCat(NameOf(fault), " for ", absl::FormatDuration(time)));
  if (fault == Fault::kMetadataAll) {
    for (const auto& node : nodes_) node->SetMetadataReachable(false);
    simulation_.After(time, [this] {
      for (const auto& node : nodes_) node->SetMetadataReachable(true);
    });
    return;
  }
  MemoryMetadataFaults slow = plan_.metadata;
  // Of a round trip some take longer than the caller waits.
  slow.delay_max = Draw(absl::Milliseconds(300), absl::Milliseconds(1500));
  slow.late = 0.3;
  for (const auto& node : nodes_) node->SetMetadataFaults(slow);
  simulation_.After(time, [this] {
    if (!faulty_) return;
    for (const auto& node : nodes_) node->SetMetadataFaults(plan_.metadata);
  });
}

// Its frame is right, and its body is not what its codec makes.
bool World::InjectLie() {
  const PartitionId partition{plan_.stream.name,
                              static_cast<uint32_t>(dice_.Below(plan_.stream.partitions))};
  const Chain& chain = *invariants_->ChainOf(partition);
  for (const auto& node : nodes_) {
    const bool owns = !chain.segments.empty() && chain.segments.back().owner == node->id();
    if (!owns || !node->running() || node->frozen() || IsStopping(*node)) continue;
    Hit(Fault::kLie, {node.get()});
    std::vector<EventNumber> numbers;
    std::vector<Event> events(1 + dice_.Below(4));
    for (Event& event : events) {
      numbers.push_back(invariants_->AddEvent(-1 - faults_done_[Fault::kLie]));
      event.id = EventId(numbers.back());
    }
    const BlockStamp stamp{ProducerId(absl::StrCat("liar-", numbers.front())), 0, 0};
    const char codec = static_cast<char>(Codec::kZstd);
    const auto honest = EncodeBlock(stamp, events, Codec::kNone);
    const auto lie =
        Block::Parse(Forge(std::string(honest->bytes()), 5, std::string_view(&codec, 1)));
    Note(absl::StrCat("LIE ", EventId(numbers.front()), " to ", partition.ToString()));
    invariants_->OnLie(lie->checksum(), numbers);
    node->replicator()->Append(partition, *lie, [](const AppendResult&) {});
    return true;
  }
  return false;
}

void World::OnUndecodable(const PartitionId& partition, const SetAsideBlock& block) {
  if (!undecodable_.emplace(partition, block.checksum).second) return;
  Random dice(block.checksum);
  simulation_.After(dice.Between(absl::ZeroDuration(), absl::Seconds(6)), [this, partition, block] {
    Note(absl::StrCat("SET ASIDE ", partition.ToString(), " ", block.first.value()));
    invariants_->OnSetAside(block.checksum);
    const std::string key = SetAsideKey(partition);
    const auto before = metadata_->Get(key);
    SetAsideRecord record = before ? *DecodeSetAside(before->value) : SetAsideRecord();
    record.blocks.push_back(block);
    const SwapResult swapped = metadata_->Swap(key, before ? before->version : 0, Encode(record));
    FOREBAY_CHECK(swapped.ok(), swapped.status().ToString());
  });
}

bool World::AddNode() {
  for (const auto& node : nodes_) {
    if (node->life_number() > 0) continue;
    Hit(Fault::kAddNode, Nodes());
    Note(absl::StrCat("ADD ", node->id().value()));
    node->Start();
    return true;
  }
  return false;
}

// By value: it goes on when other faults have drawn from theirs.
void World::RestartNext(Fault fault, size_t index, Random dice) {
  if (!faulty_ || index >= nodes_.size()) return;
  SimNode& node = *nodes_[index];
  if (fault == Fault::kRollingUpgrade) {
    node.SetPreviousVersion(false);
  } else {
    SegmentOptions segment = plan_.segment;
    segment.bytes_max = 4096 + dice.Below(256 << 10);
    node.SetSegmentOptions(segment);
  }
  if (node.running() && !node.frozen() && !IsStopping(node)) {
    Hit(fault, {&node});
    Stop(node, dice.Between(absl::Milliseconds(1), absl::Seconds(1)));
  }
  const absl::Duration wait = dice.Between(absl::Seconds(1), absl::Seconds(3));
  simulation_.After(wait, [this, fault, index, dice] { RestartNext(fault, index + 1, dice); });
}

void World::CutFor(const NodeId& from, const NodeId& to, absl::Duration time) {
  network_.Cut(from, to);
  simulation_.After(time, [this, from, to] { network_.Join(from, to); });
}

void World::Flap(const NodeId& from, const NodeId& to, int times, Random dice) {
  if (times == 0 || !faulty_) return;
  const absl::Duration period = dice.Between(absl::Milliseconds(50), absl::Seconds(1));
  CutFor(from, to, period);
  simulation_.After(2 * period, [this, from, to, times, dice] { Flap(from, to, times - 1, dice); });
}

void World::InjectInNetwork(Fault fault, SimNode& node) {
  SimNode& peer = AnyNode();
  const NodeId other = peer.id();
  const absl::Duration time = Draw(absl::Milliseconds(300), absl::Seconds(10));
  Note(absl::StrCat(NameOf(fault), " ", node.id().value(), " ", other.value(), " for ",
                    absl::FormatDuration(time)));
  if (fault == Fault::kCutLink || fault == Fault::kFlap) {
    Hit(fault, {&node, &peer});
  } else {
    Hit(fault, {&node});
  }
  switch (fault) {
    case Fault::kIsolate: {
      const uint64_t directions = 1 + dice_.Below(3);
      const bool from_clients = dice_.Chance(0.5);
      for (const auto& one : nodes_) {
        if (one->id() == node.id()) continue;
        if (directions & 1) CutFor(node.id(), one->id(), time);
        if (directions & 2) CutFor(one->id(), node.id(), time);
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
      if (other != node.id()) Flap(node.id(), other, 10, Random(dice_.Next()));
      break;
    case Fault::kClientCut: {
      const NodeId client = clients_[dice_.Below(clients_.size())]->id;
      CutFor(client, node.id(), time);
      CutFor(node.id(), client, time);
      break;
    }
    default:
      node.SetMetadataReachable(false);
      simulation_.After(time, [&node] { node.SetMetadataReachable(true); });
  }
}

void World::InjectTakeOver(Fault fault) {
  const PartitionId partition{plan_.stream.name,
                              static_cast<uint32_t>(dice_.Below(plan_.stream.partitions))};
  const Chain& chain = *invariants_->ChainOf(partition);
  if (chain.segments.empty()) return;
  for (int i = 0; i < 2; i++) {  // two at once is where races are
    SimNode& node = AnyNode();
    if (!node.running() || node.frozen() || IsStopping(node)) continue;
    Hit(fault, {&node});
    Note(absl::StrCat(NameOf(fault), " by ", node.id().value(), " of ", partition.ToString()));
    if (fault == Fault::kHandOver) {
      node.replicator()->HandOver(partition, dice_.Chance(0.5) ? NodeId() : AnyNode().id(),
                                  [](const absl::Status&) {});
    } else {
      node.replicator()->TakeOver(partition, chain.segments.back().epoch,
                                  [](const absl::Status&) {});
    }
  }
}

// The owner does not hear of the takeover, and still reaches a replica that was fenced: what that
// one remembers over a restart decides.
bool World::InjectRace() {
  const auto index = static_cast<uint32_t>(dice_.Below(plan_.stream.partitions));
  SimNode* owner = Owner(index);
  std::vector<SimNode*> others;
  for (SimNode* node : Nodes()) {
    if (node != owner && node->running()) others.push_back(node);
  }
  if (owner == nullptr || others.size() < 2) return false;
  std::swap(others[0], others[dice_.Below(others.size())]);
  std::swap(others[1], others[1 + dice_.Below(others.size() - 1)]);
  SimNode& taker = *others[0];
  SimNode& between = *others[1];
  Hit(Fault::kRace, {owner, &taker, &between});
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
  const absl::Duration down = Draw(absl::Milliseconds(1), absl::Milliseconds(50));
  simulation_.After(Draw(absl::Milliseconds(100), absl::Seconds(1)), [this, &between, down] {
    if (!between.running()) return;
    between.Kill();
    StartLater(between, down);
  });
  return true;
}

void World::Heal() {
  Note("HEAL");
  faulty_ = false;
  network_.Heal();
  SinkFaults well;
  well.poison = plan_.sink.poison;
  database_->SetFaults(well);
  database_->DownUntil(absl::InfinitePast());
  database_->TimeOutUntil(absl::InfinitePast());
  MemoryMetadataFaults healthy;
  healthy.delay_min = absl::Microseconds(200);
  healthy.delay_max = absl::Milliseconds(2);
  for (const auto& node : nodes_) {
    node->SetMetadataReachable(true);
    node->SetMetadataFaults(healthy);
    if (node->frozen()) node->Thaw();
    node->StallDisk(false);
    node->SlowDisk(1);
    node->SetDiskFull(false);
    StartLater(*node, kSoon);
  }
}

}  // namespace forebay
