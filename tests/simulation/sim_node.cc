#include "simulation/sim_node.h"

#include <utility>

#include "base/check.h"
#include "metadata/set_aside.h"

namespace forebay {

SimNode::SimNode(SimWorldParts parts, Random random, SimNodeOptions options)
    : parts_(std::move(parts)), random_(random), options_(std::move(options)) {}

SimNode::~SimNode() {
  if (life_) Kill();
}

SimNode::Life::Life(SimNode& node, uint64_t number)
    : loop(node.parts_.simulation),
      reads(node.parts_.simulation),
      storage(node.parts_.simulation),
      liveness_loop(node.parts_.simulation),
      sink_worker(node.parts_.simulation),
      metadata_loop(node.parts_.simulation),
      all{&loop, &reads, &storage, &liveness_loop, &sink_worker, &metadata_loop},
      disk_loop(storage,
                [&node, number] {
                  if (node.lives_ == number && node.life_) node.parts_.invariants.OnDisk(node.id());
                }),
      transport(node.parts_.network, node.id(), Lane::kMain, loop),
      heartbeats(node.parts_.network, node.id(), Lane::kHeartbeat, liveness_loop),
      clock(node.parts_.simulation, node.wall_offset_),
      life(node.random_.Next() | 1),
      metadata(node.parts_.metadata, metadata_loop, Random(node.random_.Next()),
               node.metadata_faults_),
      versioned_metadata(metadata, node.previous_),
      watched_metadata(versioned_metadata, node.parts_.watch, node.id()) {
  metadata.SetReachable(node.metadata_reachable_);
  if (!node.previous_) return;
  const auto translate = [](Message& message) { ToPreviousVersion(message); };
  transport.Translate(translate);
  heartbeats.Translate(translate);
}

void SimNode::Start() {
  FOREBAY_CHECK(!life_, "the node runs already");
  life_ = std::make_unique<Life>(*this, ++lives_);
  OpenStore(*life_);
  life_->monitor =
      std::make_unique<LivenessMonitor>(life_->clock, life_->liveness_loop, life_->heartbeats,
                                        life_->life, options_.replicator.liveness);
  StartReplicator(*life_);
  StartLiveness(*life_);
}

void SimNode::OpenStore(Life& life) {
  auto delay = [this] {
    return disk_slowness_ *
           random_.Between(options_.sync_min, options_.sync_max + absl::Nanoseconds(1));
  };
  auto store = MemoryWalStore::Open({life.disk_loop, life.clock}, *disk_, options_.id,
                                    Incarnation(random_.Next() | 1), delay);
  FOREBAY_CHECK(store.ok(), "a simulated disk does not open");
  life.store = *std::move(store);
  if (disk_full_) life.store->FailNextSync();
}

void SimNode::StartReplicator(Life& life) {
  ReplicatorOptions options = options_.replicator;
  options.self = {
      options_.id, options_.zone, options_.id.value() + ":1", life.store->marker().incarnation,
      life.life,   false};
  life.replicator = std::make_unique<Replicator>(
      ReplicatorParts{life.clock, life.loop, life.reads, *life.store, life.watched_metadata,
                      life.transport, *life.monitor},
      Random(random_.Next()), std::move(options));
  StartDrain(life);
  Drain* drain = life.drain.get();
  OwnershipListener listener;
  listener.committed = [drain](const PartitionId& partition, Epoch epoch, Offset committed) {
    drain->OnCommitted(partition, epoch, committed);
  };
  listener.lost = [drain](const PartitionId& partition) { drain->OnLost(partition); };
  listener.store_failed = [this](const absl::Status&) { options_.store_failed(); };
  life.replicator->Start(std::move(listener));
}

void SimNode::StartDrain(Life& life) {
  std::vector<SinkBinding> sinks;
  for (const SinkId& name : options_.sinks) {
    SinkBinding binding;
    binding.name = name;
    binding.stream = options_.stream;
    binding.sink =
        std::make_shared<SimSink>(parts_.database, name, [this] { parts_.watch.OnDelivery(id()); });
    binding.keep_after_delivery = options_.keep_after_delivery;
    sinks.push_back(std::move(binding));
  }
  Replicator* replicator = life.replicator.get();
  SimDatabase* database = &parts_.database;
  DrainPorts ports;
  ports.read = [replicator](const PartitionId& partition, Offset from, size_t bytes_max,
                            DrainPorts::ReadDone done) {
    replicator->Read(partition, from, bytes_max, std::move(done));
  };
  ports.set_trim_floor = [replicator](const PartitionId& partition, Offset floor) {
    replicator->SetTrimFloor(partition, floor);
  };
  ports.dead_letter = [database](const StreamId&, Event event, DrainPorts::Done done) {
    database->DeadLettered(event);
    done(absl::OkStatus());
  };
  ports.is_set_aside = [this, &life](const PartitionId& partition, const BadBlock& bad,
                                     DrainPorts::SetAsideDone done) {
    const SetAsideBlock block{bad.first, bad.end, bad.checksum};
    parts_.undecodable(partition, block);
    IsSetAside(life.watched_metadata, partition, block, std::move(done));
  };
  DrainOptions drain_options;
  drain_options.retry_wait_max = absl::Seconds(2);
  life.drain = std::make_unique<Drain>(Drain::Runtime{life.clock, life.loop, {&life.sink_worker}},
                                       Random(random_.Next()), std::move(sinks), std::move(ports),
                                       drain_options);
}

void SimNode::StartLiveness(Life& life) {
  std::map<NodeId, std::string> addresses;
  for (const NodeId& peer : options_.peers) addresses[peer] = peer.value() + ":1";
  life.transport.SetPeers(addresses);
  life.heartbeats.SetPeers(addresses);
  Replicator* replicator = life.replicator.get();
  life.monitor->SetPeers(options_.peers);
  life.monitor->Start([replicator](const NodeId& node, ProcessLife life, bool alive) {
    replicator->SetAlive(node, life, alive);
  });
}

void SimNode::Kill() {
  FOREBAY_CHECK(life_, "the node does not run");
  Life& life = *life_;
  for (SimExecutor* executor : life.all) executor->Kill();
  life.transport.Stop();
  life.heartbeats.Stop();
  life.store->PowerCut(random_.Below(life.store->queued_batches() + 1));
  if (honest_) {
    parts_.invariants.OnWipe(id());
    disk_->durable = *std::exchange(honest_, std::nullopt);
    disk_->log_damaged = true;  // the sync mark tells
  }
  parts_.invariants.OnDisk(id());
  parts_.watch.Forget(id());
  old_lives_.push_back(std::move(life_));
}

void SimNode::Stop(std::function<void()> done) {
  FOREBAY_CHECK(life_, "the node does not run");
  const uint64_t number = lives_;
  auto end = [this, number, done = std::move(done)] {
    // Not from within its own tasks.
    parts_.simulation.After(absl::Milliseconds(1), [this, number, done] {
      if (life_ && lives_ == number) Kill();
      done();
    });
  };
  life_->replicator->HandOverAll([this, number, end](absl::Status) {
    if (!life_ || lives_ != number) return end();
    life_->drain->Stop([this, number, end] {
      if (!life_ || lives_ != number) return end();
      life_->replicator->Stop(end);
    });
  });
}

void SimNode::Freeze() {
  for (SimExecutor* executor : life_->all) executor->Freeze();
}

void SimNode::Thaw() {
  for (SimExecutor* executor : life_->all) executor->Thaw();
}

void SimNode::SetBusy(bool busy) { busy ? life_->loop.Freeze() : life_->loop.Thaw(); }

void SimNode::Wipe() {
  FOREBAY_CHECK(!life_, "a running node's disk cannot be wiped");
  parts_.invariants.OnWipe(id());
  old_disks_.push_back(std::exchange(disk_, std::make_unique<MemoryDisk>()));
}

void SimNode::TearLog() {
  FOREBAY_CHECK(!life_, "a running node's disk cannot be torn");
  parts_.invariants.OnWipe(id());
  disk_->log_damaged = true;
  for (auto& [key, segment] : disk_->durable.segments) {
    for (uint64_t gone = random_.Below(4); gone > 0 && !segment.blocks.empty(); gone--) {
      segment.extent.tail = segment.blocks.rbegin()->first;
      segment.blocks.erase(std::prev(segment.blocks.end()));
    }
  }
}

bool SimNode::DamageBlock() {
  std::vector<std::pair<SegmentKey, Offset>> blocks;
  for (const auto& [key, segment] : disk_->durable.segments) {
    for (const auto& [first, block] : segment.blocks) blocks.emplace_back(key, first);
  }
  if (blocks.empty()) return false;
  const auto& [key, first] = blocks[random_.Below(blocks.size())];
  if (random_.Chance(0.2)) {
    disk_->damaged_snapshots.insert(key);
  } else {
    disk_->damaged_blocks.insert({key, first});
  }
  return true;
}

bool SimNode::Misdirect() {
  const bool first = DamageBlock();
  return DamageBlock() || first;
}

bool SimNode::HasDamage() const {
  const auto& segments = disk_->durable.segments;
  for (const auto& [key, first] : disk_->damaged_blocks) {
    const auto segment = segments.find(key);
    if (segment != segments.end() && segment->second.blocks.contains(first)) return true;
  }
  for (const SegmentKey& key : disk_->damaged_snapshots) {
    if (segments.contains(key)) return true;
  }
  return false;
}

void SimNode::SetDiskFull(bool full) {
  disk_full_ = full;
  if (full) FailNextSync();
}

void SimNode::LoseSyncs() {
  if (!honest_) honest_ = disk_->durable;
}

void SimNode::JumpClock(absl::Duration ahead, absl::Duration wall) {
  wall_offset_ = wall;
  if (life_) life_->clock.Leap(ahead);
}

void SimNode::FailNextSync() {
  if (life_) life_->store->FailNextSync();
}

void SimNode::StallDisk(bool stalled) {
  if (life_) life_->store->SetStalled(stalled);
}

void SimNode::SetMetadataReachable(bool reachable) {
  metadata_reachable_ = reachable;
  if (life_) life_->metadata.SetReachable(reachable);
}

void SimNode::SetMetadataFaults(MemoryMetadataFaults faults) {
  metadata_faults_ = faults;
  if (life_) life_->metadata.SetFaults(faults);
}

DrainVisits SimNode::DrainStatesEntered() const {
  DrainVisits sum{};
  const auto add = [&sum](const Life& life) {
    const DrainVisits& entered = life.drain->visits();
    for (size_t i = 0; i < sum.size(); i++) sum[i] += entered[i];
  };
  for (const auto& life : old_lives_) add(*life);
  if (life_) add(*life_);
  return sum;
}

std::vector<DrainStatus> SimNode::DrainStatuses() const {
  return life_ ? life_->drain->Status() : std::vector<DrainStatus>();
}

}  // namespace forebay
