#include "scaling/one_node.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "replication/replicator.h"
#include "runtime/log.h"
#include "support/sim_executor.h"
#include "wal/memory_wal_store.h"

namespace forebay::scaling {
namespace {

// Not the time that passes: the machine may be busy with something else.
double CpuSeconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  double total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

// Answers at once and tells watchers when asked to.
class PlainMetadata final : public MetadataStore {
 public:
  explicit PlainMetadata(Executor& executor) : executor_(executor) {}

  void Read(std::string key, ReadDone done) override {
    executor_.Post([this, key = std::move(key), done = std::move(done)]() mutable {
      const auto found = records_.find(key);
      done(found == records_.end() ? std::nullopt : std::optional(found->second));
    });
  }
  void List(std::string prefix, ListDone done) override {
    executor_.Post([this, prefix = std::move(prefix), done = std::move(done)]() mutable {
      done(Under(prefix));
    });
  }
  void CompareAndSwap(std::string key, uint64_t version, std::string value,
                      SwapDone done) override {
    executor_.Post([this, key = std::move(key), version, value = std::move(value),
                    done = std::move(done)]() mutable {
      const auto found = records_.find(key);
      const uint64_t now = found == records_.end() ? 0 : found->second.version;
      if (now != version) return done(absl::AbortedError("another version"));
      done(Put(key, std::move(value)));
    });
  }
  void Watch(std::string prefix, Changed changed) override {
    watches_.emplace_back(prefix, std::move(changed));
    executor_.Post(
        [this, at = watches_.size() - 1] { watches_[at].second(Under(watches_[at].first)); });
  }

  uint64_t Put(const std::string& key, std::string value) {
    MetadataRecord& record = records_[key];
    record = {key, std::move(value), record.version + 1};
    const auto watch = std::find_if(watches_.begin(), watches_.end(), [&](const auto& one) {
      return key.compare(0, one.first.size(), one.first) == 0;
    });
    if (watch != watches_.end()) {
      executor_.Post([watch, record] { watch->second({record}); });
    }
    return record.version;
  }

 private:
  std::vector<MetadataRecord> Under(const std::string& prefix) const {
    std::vector<MetadataRecord> found;
    for (auto at = records_.lower_bound(prefix);
         at != records_.end() && at->first.compare(0, prefix.size(), prefix) == 0; ++at) {
      found.push_back(at->second);
    }
    return found;
  }

  Executor& executor_;
  std::map<std::string, MetadataRecord> records_;
  std::vector<std::pair<std::string, Changed>> watches_;
};

// Peers that hold all that they are asked about, which is nothing.
class AgreeingPeers final : public Transport {
 public:
  void Receive(Handler handler) override { handler_ = std::move(handler); }
  void SetPeers(std::map<NodeId, std::string>) override {}
  void SendAll(const NodeId& to, std::vector<Message> messages) override {
    for (const Message& message : messages) {
      if (const auto* mirror = std::get_if<MirrorRequest>(&message)) {
        handler_(to, MirrorReply{.segment = mirror->segment,
                                 .answer = ReplicaAnswer::kHolds,
                                 .tail = mirror->base,
                                 .next = mirror->base,
                                 .fence = Epoch()});
      } else if (const auto* fence = std::get_if<FenceRequest>(&message)) {
        FenceReply reply;
        reply.segment = fence->segment;
        reply.fence = fence->fence;
        reply.answer = ReplicaAnswer::kHolds;
        handler_(to, reply);
      }
    }
  }
  void Stop() override {}

 private:
  Handler handler_;
};

class OneNode {
 public:
  explicit OneNode(const FleetOptions& options) : fleet_(options) {
    SetUpLog(LogFormat::kHuman, LogLevel::kError, "");
    store_ = *MemoryWalStore::Open({executor_, clock_}, disk_, self().id, Incarnation(1));
    for (const NodeRecord& node : fleet_.nodes()) metadata_.Put(NodeKey(node.id), Encode(node));
    std::map<StreamId, uint32_t> partitions;
    for (const auto& partition : fleet_.partitions()) partitions[partition.id.stream]++;
    for (const auto& [name, count] : partitions) {
      metadata_.Put(StreamKey(name), Encode(StreamOptions{.name = name, .partitions = count}));
    }
    for (size_t i = 0; i < fleet_.partitions().size(); i++) PutChain(i);
  }
  ~OneNode() {
    replicator_->Stop([] {});
    simulation_.RunFor(absl::Seconds(1));
  }

  OneNodeResult Run() {
    OneNodeResult result;
    result.partitions = fleet_.partitions().size();
    result.nodes = fleet_.nodes().size();
    const double before = ResidentBytes();
    ReplicatorOptions options;
    options.self = self();
    replicator_.emplace(
        ReplicatorParts{clock_, executor_, executor_, *store_, metadata_, peers_, liveness_},
        Random(1), options);
    replicator_->Start({});
    for (const NodeRecord& node : fleet_.nodes()) {
      if (node.id != self().id) replicator_->SetAlive(node.id, node.life, true);
    }
    result.phases.push_back(Measure("start", absl::Seconds(10)));
    result.memory_bytes_per_partition =
        (ResidentBytes() - before) / static_cast<double>(result.partitions);
    result.owned = fleet_.OwnedByNode()[0];
    simulation_.RunFor(absl::Seconds(10));
    result.phases.push_back(Measure("nothing happens", absl::Seconds(10)));
    const NodeRecord& last = fleet_.nodes().back();
    replicator_->SetAlive(last.id, last.life, false);
    replicator_->SetAlive(last.id, last.life, true);
    result.phases.push_back(Measure("one node was away for a moment", absl::Seconds(5)));
    simulation_.RunFor(absl::Seconds(10));
    LoseZone();
    result.phases.push_back(Measure("a zone is lost", absl::Seconds(5)));
    return result;
  }

 private:
  const NodeRecord& self() const { return fleet_.nodes().front(); }

  void PutChain(size_t index) {
    const Fleet::Partition& partition = fleet_.partitions()[index];
    Segment open = partition.open;
    open.epoch = Epoch(++epochs_[index]);
    // Its own ones it takes over from its life before, as after every start.
    open.owner_life = partition.owner == 0 ? ProcessLife(7) : fleet_.nodes()[partition.owner].life;
    metadata_.Put(ChainKey(partition.id), Encode(Chain{{std::move(open)}}));
  }

  // The last zone; the others do their part within 300 ms.
  void LoseZone() {
    const std::vector<Fleet::Partition> before = fleet_.partitions();
    fleet_.SetZoneAlive(fleet_.zones() - 1, false);
    for (size_t i = 0; i < fleet_.nodes().size(); i++) {
      const NodeRecord& node = fleet_.nodes()[i];
      if (!fleet_.alive(i)) replicator_->SetAlive(node.id, node.life, false);
    }
    fleet_.TakeOver();
    fleet_.Roll();
    simulation_.After(absl::Milliseconds(300), [this, before] {
      for (size_t i = 0; i < before.size(); i++) {
        const Fleet::Partition& now = fleet_.partitions()[i];
        if (now.owner != 0 && now.open.replicas != before[i].open.replicas) PutChain(i);
      }
    });
  }

  LoopLoad Measure(std::string phase, absl::Duration time) {
    LoopLoad load{std::move(phase), absl::ToDoubleSeconds(time)};
    const absl::Time end = simulation_.Now() + time;
    simulation_.At(end, [] {});
    while (simulation_.Now() < end) {
      const double began = CpuSeconds();
      simulation_.Step();
      const double took = CpuSeconds() - began;
      load.busy_seconds += took;
      load.longest_task_seconds = std::max(load.longest_task_seconds, took);
    }
    return load;
  }

  Fleet fleet_;
  std::map<size_t, uint64_t> epochs_;
  Simulation simulation_;
  SimClock clock_{simulation_};
  SimExecutor executor_{simulation_};
  MemoryDisk disk_;
  std::unique_ptr<MemoryWalStore> store_;
  PlainMetadata metadata_{executor_};
  AgreeingPeers peers_;
  LivenessMonitor liveness_{clock_, executor_, peers_, ProcessLife(1), {}};  // OneNode says who is
  std::optional<Replicator> replicator_;
};

}  // namespace

OneNodeResult MeasureOneNode(const FleetOptions& options) { return OneNode(options).Run(); }

}  // namespace forebay::scaling
