// One simulated node: a disk that survives crashes, and one process life after another on it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "drain/drain.h"
#include "metadata/memory_metadata_store.h"
#include "replication/liveness.h"
#include "replication/replicator.h"
#include "simulation/invariants.h"
#include "simulation/previous_version.h"
#include "simulation/protocol_watch.h"
#include "simulation/sim_network.h"
#include "simulation/sim_sink.h"
#include "support/sim_executor.h"
#include "wal/memory_wal_store.h"

namespace forebay {

// Runs tasks like another executor, and looks at the world after each.
class ObservedExecutor final : public Executor {
 public:
  ObservedExecutor(Executor& inner, std::function<void()> after)
      : inner_(inner), after_(std::move(after)) {}
  void Post(Task task) override { inner_.Post(Observed(std::move(task))); }
  void PostAfter(absl::Duration delay, Task task) override {
    inner_.PostAfter(delay, Observed(std::move(task)));
  }

 private:
  Task Observed(Task task) {
    return [task = std::move(task), after = after_]() mutable {
      task();
      after();
    };
  }
  Executor& inner_;
  const std::function<void()> after_;
};

// A machine's clock, off by what it was when the process started, and ahead by its leaps since.
class NodeClock final : public Clock {
 public:
  NodeClock(const Simulation& simulation, absl::Duration offset)
      : simulation_(simulation), offset_(offset) {}
  absl::Time Now() const override { return simulation_.Now() + offset_; }
  void Leap(absl::Duration ahead) { offset_ += ahead; }

 private:
  const Simulation& simulation_;
  absl::Duration offset_;
};

// What every node is given.
struct SimWorldParts {
  Simulation& simulation;
  SimNetwork& network;
  std::shared_ptr<MemoryMetadata> metadata;
  SimDatabase& database;
  Invariants& invariants;
  ProtocolWatch& watch;
  // A drain asks whether the block has been set aside.
  std::function<void(const PartitionId&, const SetAsideBlock&)> undecodable;
};

struct SimNodeOptions {
  NodeId id;
  ZoneId zone;
  ReplicatorOptions replicator;  // `self` is filled in
  std::vector<SinkId> sinks;
  StreamId stream;            // that the sinks drain
  std::vector<NodeId> peers;  // all nodes
  absl::Duration keep_after_delivery;
  absl::Duration sync_min, sync_max;
  // The store refuses every write: the process is to be started anew.
  std::function<void()> store_failed;
};

class SimNode {
 public:
  SimNode(SimWorldParts parts, Random random, SimNodeOptions options);
  ~SimNode();

  bool running() const { return life_ != nullptr; }
  bool frozen() const { return life_ && life_->loop.frozen(); }
  const NodeId& id() const { return options_.id; }
  const ZoneId& zone() const { return options_.zone; }
  const MemoryDisk& disk() const { return *disk_; }

  void Start();
  // SIGKILL, or the end of the power: queued writes are gone, or made it without a report.
  void Kill();
  // SIGTERM: hands over what it owns, then stops. `done` when the process has ended.
  void Stop(std::function<void()> done);
  void Freeze();
  void Thaw();
  // Its protocol has so much to do that everything waits; its heartbeats go on.
  void SetBusy(bool busy);
  // Not while it runs.
  void Wipe();
  // Not while it runs: the next start finds damage, and some segments have lost their ends.
  void TearLog();
  // Some stored block cannot be read from now on; false when there is none.
  bool DamageBlock();
  // Two blocks, or all there are; false when there is none.
  bool Misdirect();
  // Some stored block or snapshot cannot be read.
  bool HasDamage() const;
  void FailNextSync();
  void StallDisk(bool stalled);
  // Syncs take so many times as long.
  void SlowDisk(int times) { disk_slowness_ = times; }
  // While it is, every write fails, in this life and the next.
  void SetDiskFull(bool full);
  bool disk_full() const { return disk_full_; }
  // From now on syncs are reported and not done; the crash that ends this life takes all since now.
  void LoseSyncs();
  bool loses_syncs() const { return honest_.has_value(); }
  // The clock of this life leaps ahead; the next life's is off by `wall`.
  void JumpClock(absl::Duration ahead, absl::Duration wall);
  // Both from the next start on.
  void SetSegmentOptions(const SegmentOptions& options) { options_.replicator.segment = options; }
  void SetPreviousVersion(bool previous) { previous_ = previous; }
  bool previous_version() const { return previous_; }
  void SetMetadataReachable(bool reachable);
  void SetMetadataFaults(MemoryMetadataFaults faults);

  // Null while it does not run.
  Replicator* replicator() { return life_ ? life_->replicator.get() : nullptr; }
  // Of the process that runs.
  Executor& loop() { return life_->loop; }
  // Counts starts.
  uint64_t life_number() const { return lives_; }
  std::vector<DrainStatus> DrainStatuses() const;
  // How often its drain entered each state, in all lives.
  DrainVisits DrainStatesEntered() const;

 private:
  // The order is that of construction; the end is the other way round.
  struct Life {
    Life(SimNode& node, uint64_t number);
    SimExecutor loop, reads, storage, liveness_loop, sink_worker, metadata_loop;
    std::vector<SimExecutor*> all;
    ObservedExecutor disk_loop;
    SimTransport transport, heartbeats;
    NodeClock clock;
    const ProcessLife life;
    std::unique_ptr<MemoryWalStore> store;
    MemoryMetadataStore metadata;
    VersionedMetadata versioned_metadata;
    WatchedMetadata watched_metadata;
    std::unique_ptr<LivenessMonitor> monitor;
    std::unique_ptr<Replicator> replicator;
    std::unique_ptr<Drain> drain;
  };

  void OpenStore(Life& life);
  void StartReplicator(Life& life);
  void StartDrain(Life& life);
  void StartLiveness(Life& life);

  const SimWorldParts parts_;
  Random random_;
  SimNodeOptions options_;
  MemoryMetadataFaults metadata_faults_;
  bool metadata_reachable_ = true;
  bool previous_ = false;
  int disk_slowness_ = 1;
  bool disk_full_ = false;
  absl::Duration wall_offset_;
  std::optional<MemoryWalState> honest_;  // what is really durable, while syncs are lost
  std::unique_ptr<MemoryDisk> disk_ = std::make_unique<MemoryDisk>();
  std::unique_ptr<Life> life_;
  uint64_t lives_ = 0;
  // What tasks under way may still refer to.
  std::vector<std::unique_ptr<MemoryDisk>> old_disks_;
  std::vector<std::unique_ptr<Life>> old_lives_;
};

}  // namespace forebay
