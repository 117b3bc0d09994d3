#include "replication/replicator.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "replication/node_state.h"
#include "replication/partition.h"
#include "runtime/log.h"
#include "runtime/mutex.h"

namespace forebay {
namespace {

constexpr absl::Duration kTickEvery = absl::Milliseconds(20);
constexpr int kTicksPerSurvey = 10;
// After this many idle surveys a partition goes to sleep and is then checked once in as many, so
// that idle partitions cost next to nothing (H14).
constexpr int kSurveysAwake = 25;
// At least this many are checked in each survey.
constexpr size_t kSurveyedAtLeast = 16;
constexpr size_t kPrefixes = 4;  // that are watched
constexpr absl::Duration kRegisterRetry = absl::Milliseconds(200);
constexpr absl::Duration kAskAgainAfter = absl::Milliseconds(100);

absl::Status UnknownPartition(const PartitionId& partition) {
  // The streams there are, are known to others (rpc's StreamDirectory), and earlier.
  return WithRetryAfter(
      absl::UnavailableError(absl::StrCat("this node has not heard of partition ",
                                          partition.ToString(), " yet: ask again")),
      kAskAgainAfter);
}

}  // namespace

// Confined to the loop, but for what says otherwise.
class Replicator::Impl {
 public:
  Impl(Executor& loop, Transport& transport, std::shared_ptr<NodeState> node)
      : loop_(loop), transport_(transport), node_(std::move(node)), self_(node_->self().id) {}

  Executor& loop() { return loop_; }
  NodeState& node() { return *node_; }

  void Start(OwnershipListener listener) {
    listener_ = std::move(listener);
    node_->batch().SetHandlers(
        {.own_message = [this](Message message) { OnMessage(self_, std::move(message)); },
         .durable = [this](size_t batches) { node_->replicas().OnDurable(batches); }});
    transport_.Receive([node = node_.get(), weak = std::weak_ptr(node_), this](const NodeId& from,
                                                                               Message message) {
      const auto state = weak.lock();
      if (state == nullptr) return;
      node->loop().Post([this, from, message = std::move(message)]() mutable {
        OnMessage(from, std::move(message));
      });
    });
    Register();
    for (const StreamOptions& stream : node_->options().streams) CreateStream(stream);
    Watch(kNodePrefix, [this](const MetadataRecord& record) { OnNode(record); });
    Watch(kMaintenancePrefix, [this](const MetadataRecord& record) { OnMaintenance(record); });
    Watch(kStreamPrefix, [this](const MetadataRecord& record) { OnStream(record); });
    Watch(kChainPrefix, [this](const MetadataRecord& record) { OnChain(record); });
    Tick();
  }

  void Stop() {
    node_->loop().Stop();
    for (auto& [id, seat] : partitions_) seat.partition->Stop();
  }

  // Something happens to it: it wakes up.
  PartitionDriver* Find(const PartitionId& partition) {
    const auto found = partitions_.find(partition);
    if (found == partitions_.end()) return nullptr;
    Wake(found->first, found->second);
    return found->second.partition.get();
  }

  void HandOverAll(absl::AnyInvocable<void(absl::Status)> done);

  std::vector<PartitionStatus> Statuses() const {
    std::vector<PartitionStatus> statuses;
    for (const auto& [id, seat] : partitions_) statuses.push_back(seat.partition->Status());
    return statuses;
  }

  void SetAlive(const NodeId& node, ProcessLife life, bool alive) {
    node_->cluster().SetAlive(node, life, alive);
    NodesChanged();
    if (!alive) return;
    for (auto& [id, seat] : partitions_) seat.partition->OnPeerBack(node);
  }

  // Any thread.
  ScrubStats Scrub() const {
    MutexLock lock(mutex_);
    return published_scrub_;
  }
  std::vector<NodeStatus> Nodes() const {
    MutexLock lock(mutex_);
    std::vector<NodeStatus> nodes = published_nodes_;
    for (NodeStatus& node : nodes) {
      if (node.record.id == self_) node.scrub = published_scrub_;
    }
    return nodes;
  }

 private:
  struct Seat {
    std::unique_ptr<PartitionDriver> partition;
    int surveys_awake = 0;  // left, until it sleeps; 0: it does
  };

  void Wake(const PartitionId& id, Seat& seat) {
    if (std::exchange(seat.surveys_awake, kSurveysAwake) == 0) awake_.insert(id);
  }
  void WakeAll() {
    for (auto& [id, seat] : partitions_) Wake(id, seat);
  }
  void SurveyAwake();
  void SurveySleepers();
  // Writes this node's record, until it is written.
  void Register();
  void CreateStream(const StreamOptions& stream);
  void Watch(std::string prefix, absl::AnyInvocable<void(const MetadataRecord&)> on_record);
  void OnNode(const MetadataRecord& record);
  void OnMaintenance(const MetadataRecord& record);
  void OnStream(const MetadataRecord& record);
  void OnChain(const MetadataRecord& record);
  void OnMessage(const NodeId& from, Message message);
  void Tick();
  void NodesChanged();
  void PublishScrub() {
    MutexLock lock(mutex_);
    published_scrub_ = node_->scrub().stats();
  }

  Executor& loop_;
  Transport& transport_;
  // Shared with its own callbacks under way.
  const std::shared_ptr<NodeState> node_;
  const NodeId self_;
  OwnershipListener listener_;
  std::map<PartitionId, Seat> partitions_;
  std::set<PartitionId> awake_;
  PartitionId surveyed_to_;                       // of those that sleep
  std::map<PartitionId, VersionedChain> chains_;  // of partitions whose stream is not known yet
  std::set<std::string> seen_prefixes_;           // watches that have told what there is
  int ticks_ = 0;
  bool store_failure_told_ = false;
  mutable Mutex mutex_;
  std::vector<NodeStatus> published_nodes_ ABSL_GUARDED_BY(mutex_);
  ScrubStats published_scrub_ ABSL_GUARDED_BY(mutex_);
};

void Replicator::Impl::Register() {
  const std::string key = NodeKey(node_->self().id);
  node_->metadata().Read(key, [this, key, weak = std::weak_ptr(node_)](
                                  absl::StatusOr<std::optional<MetadataRecord>> record) {
    const auto node = weak.lock();
    if (node == nullptr) return;
    node->loop().Post([this, key, record = std::move(record)] {
      const auto again = [this] {
        node_->loop().PostAfter(kRegisterRetry, [this] { Register(); });
      };
      if (!record.ok()) {
        Log(LogLevel::kWarning, absl::StrCat("cannot register this node, trying again: ",
                                             std::string(record.status().message())));
        again();
        return;
      }
      const uint64_t version = record->has_value() ? (*record)->version : 0;
      node_->metadata().CompareAndSwap(
          key, version, Encode(node_->self()),
          [weak = std::weak_ptr(node_), again](const SwapResult& result) {
            const auto node = weak.lock();
            if (node == nullptr || result.ok()) return;
            node->loop().Post(again);
          });
    });
  });
}

void Replicator::Impl::CreateStream(const StreamOptions& stream) {
  node_->metadata().CompareAndSwap(
      StreamKey(stream.name), 0, Encode(stream),
      [this, stream, weak = std::weak_ptr(node_)](const SwapResult& result) {
        const auto node = weak.lock();
        if (node == nullptr || result.ok() || absl::IsAborted(result.status())) return;
        node->loop().Post([this, stream] {
          node_->loop().PostAfter(kRegisterRetry, [this, stream] { CreateStream(stream); });
        });
      });
}

void Replicator::Impl::Watch(std::string prefix,
                             absl::AnyInvocable<void(const MetadataRecord&)> on_record) {
  // Shared by the store's callback and the tasks that it posts.
  auto handler =
      std::make_shared<absl::AnyInvocable<void(const MetadataRecord&)>>(std::move(on_record));
  node_->metadata().Watch(prefix, [this, prefix, handler, weak = std::weak_ptr(node_)](
                                      std::vector<MetadataRecord> records) {
    const auto node = weak.lock();
    if (node == nullptr) return;
    node->loop().Post([this, prefix, handler, records = std::move(records)] {
      for (const MetadataRecord& record : records) (*handler)(record);
      seen_prefixes_.insert(prefix);
    });
  });
}

void Replicator::Impl::OnNode(const MetadataRecord& record) {
  if (record.version == 0) return;
  const auto node = DecodeNode(record.value);
  if (!node.ok()) {
    Log(LogLevel::kError, absl::StrCat("ignoring metadata record ", record.key, ": ",
                                       std::string(node.status().message())));
    return;
  }
  if (node->id != node_->self().id) node_->cluster().SetRecord(*node);
  NodesChanged();
}

void Replicator::Impl::OnMaintenance(const MetadataRecord& record) {
  MaintenanceRecord maintenance;
  if (record.version != 0) {
    const auto decoded = DecodeMaintenance(record.value);
    if (!decoded.ok()) {
      Log(LogLevel::kError, absl::StrCat("ignoring metadata record ", record.key, ": ",
                                         std::string(decoded.status().message())));
      return;
    }
    maintenance = *decoded;
  }
  node_->cluster().SetMaintenance(record.key, maintenance);
  NodesChanged();
}

void Replicator::Impl::OnStream(const MetadataRecord& record) {
  if (record.version == 0) return;
  const auto stream = DecodeStream(record.value);
  if (!stream.ok()) {
    Log(LogLevel::kError, absl::StrCat("ignoring metadata record ", record.key, ": ",
                                       std::string(stream.status().message())));
    return;
  }
  for (uint32_t i = 0; i < stream->partitions; i++) {
    const PartitionId id{stream->name, i};
    Seat& seat = partitions_[id];
    if (seat.partition != nullptr) continue;
    seat.partition = std::make_unique<PartitionDriver>(*node_, listener_, id, *stream);
    Wake(id, seat);
    auto chain = chains_.extract(id);
    if (!chain.empty()) seat.partition->OnChain(std::move(chain.mapped()));
  }
}

void Replicator::Impl::OnChain(const MetadataRecord& record) {
  const auto id = PartitionOfChainKey(record.key);
  if (record.version == 0 || !id.ok()) return;
  auto chain = DecodeChain(record.value);
  if (!chain.ok()) {
    Log(LogLevel::kError, absl::StrCat("ignoring metadata record ", record.key, ": ",
                                       std::string(chain.status().message())));
    return;
  }
  VersionedChain versioned{record.version, *std::move(chain)};
  if (PartitionDriver* partition = Find(*id)) {
    partition->OnChain(std::move(versioned));
  } else {
    chains_[*id] = std::move(versioned);
  }
}

void Replicator::Impl::OnMessage(const NodeId& from, Message message) {
  node_->replicas().OnRequest(from, message);
  const PartitionId* id = std::visit(
      [](const auto& m) -> const PartitionId* {
        if constexpr (requires { m.segment; }) {
          return &m.segment.partition;
        } else if constexpr (requires { m.partition; }) {
          return &m.partition;
        } else {
          return nullptr;
        }
      },
      message);
  PartitionDriver* partition = id == nullptr ? nullptr : Find(*id);
  if (partition != nullptr) partition->OnMessage(from, std::move(message));
}

void Replicator::Impl::Tick() {
  if (node_->UpdateOwnRecord()) {
    Register();
    NodesChanged();
  }
  node_->scrub().OnTick();
  PublishScrub();
  const bool known = seen_prefixes_.size() == kPrefixes;
  const bool survey = known && ++ticks_ % kTicksPerSurvey == 0;
  for (const PartitionId& id : awake_) {
    PartitionDriver& partition = *partitions_.at(id).partition;
    if (partition.Busy()) partition.OnTick();
  }
  if (survey) {
    SurveyAwake();
    SurveySleepers();
  }
  if (!node_->store_status().ok() && !store_failure_told_) {
    store_failure_told_ = true;
    Log(LogLevel::kError, absl::StrCat("the store has failed and takes no more writes: ",
                                       std::string(node_->store_status().message())));
    if (listener_.store_failed) listener_.store_failed(node_->store_status());
  }
  node_->loop().PostAfter(kTickEvery, [this] { Tick(); });
}

void Replicator::Impl::SurveyAwake() {
  for (auto at = awake_.begin(); at != awake_.end();) {
    Seat& seat = partitions_.at(*at);
    seat.partition->Survey();
    seat.surveys_awake = seat.partition->Resting() ? seat.surveys_awake - 1 : kSurveysAwake;
    at = seat.surveys_awake == 0 ? awake_.erase(at) : std::next(at);
  }
}

// The next few of them, so that whatever time alone changes is seen as well.
void Replicator::Impl::SurveySleepers() {
  size_t left = std::max(partitions_.size() / kSurveysAwake + 1, kSurveyedAtLeast);
  auto at = partitions_.upper_bound(surveyed_to_);
  for (left = std::min(left, partitions_.size()); left > 0; --left, ++at) {
    if (at == partitions_.end()) at = partitions_.begin();
    surveyed_to_ = at->first;
    if (at->second.surveys_awake > 0) continue;
    at->second.partition->Survey();
    if (!at->second.partition->Resting()) Wake(at->first, at->second);
  }
}

void Replicator::Impl::NodesChanged() {
  WakeAll();
  std::vector<NodeStatus> statuses = node_->cluster().Statuses();
  MutexLock lock(mutex_);
  published_nodes_ = std::move(statuses);
}

void Replicator::Impl::HandOverAll(absl::AnyInvocable<void(absl::Status)> done) {
  struct Round {
    size_t waiting = 1;
    absl::Status status;
    absl::AnyInvocable<void(absl::Status)> done;
  };
  // Shared by the hand-overs of all partitions, the last of which finishes it.
  auto round = std::make_shared<Round>();
  round->done = std::move(done);
  const auto finish = [round](absl::Status status) {
    round->status.Update(status);
    if (--round->waiting == 0) round->done(round->status);
  };
  WakeAll();
  for (auto& [id, seat] : partitions_) {
    if (!seat.partition->Status().owned_here) continue;
    round->waiting++;
    seat.partition->HandOver(NodeId(), finish);
  }
  node_->cluster().ChangeSelf().draining = true;
  Register();
  finish(absl::OkStatus());
}

Replicator::Replicator(const ReplicatorParts& parts, Random random, ReplicatorOptions options)
    : impl_(std::make_shared<Impl>(parts.loop, parts.transport,
                                   NodeState::Make(parts, random, std::move(options)))) {}

Replicator::~Replicator() = default;

void Replicator::Start(OwnershipListener listener) {
  impl_->loop().Post([impl = impl_, listener = std::move(listener)]() mutable {
    impl->Start(std::move(listener));
  });
}

void Replicator::Stop(absl::AnyInvocable<void()> done) {
  impl_->loop().Post([impl = impl_, done = std::move(done)]() mutable {
    impl->Stop();
    done();
  });
}

void Replicator::Append(const PartitionId& partition, Block block, AppendDone done) {
  impl_->loop().Post([impl = impl_, partition, block = std::move(block),
                      arrived = impl_->node().Now(), done = std::move(done)]() mutable {
    if (PartitionDriver* driver = impl->Find(partition); driver == nullptr) {
      done({.outcome = Outcome::kNotStored, .status = UnknownPartition(partition)});
    } else if (impl->node().loop().stopped()) {
      done({.outcome = Outcome::kNotStored,
            .status = absl::UnavailableError("this node is stopping")});
    } else {
      driver->Append(std::move(block), arrived, std::move(done));
    }
  });
}

void Replicator::Read(const PartitionId& partition, Offset from, size_t bytes_max, ReadDone done) {
  impl_->loop().Post([impl = impl_, partition, from, bytes_max, done = std::move(done)]() mutable {
    if (PartitionDriver* driver = impl->Find(partition); driver != nullptr) {
      driver->Read(from, bytes_max, std::move(done));
    } else {
      done(UnknownPartition(partition));
    }
  });
}

void Replicator::SetTrimFloor(const PartitionId& partition, Offset floor) {
  impl_->loop().Post([impl = impl_, partition, floor] {
    if (PartitionDriver* driver = impl->Find(partition)) driver->SetTrimFloor(floor);
  });
}

void Replicator::TakeOver(const PartitionId& partition, Epoch seen_epoch,
                          absl::AnyInvocable<void(absl::Status)> done) {
  impl_->loop().Post([impl = impl_, partition, seen_epoch, done = std::move(done)]() mutable {
    if (PartitionDriver* driver = impl->Find(partition); driver != nullptr) {
      driver->TakeOver(seen_epoch, std::move(done));
    } else {
      done(UnknownPartition(partition));
    }
  });
}

void Replicator::HandOver(const PartitionId& partition, NodeId to,
                          absl::AnyInvocable<void(absl::Status)> done) {
  impl_->loop().Post(
      [impl = impl_, partition, to = std::move(to), done = std::move(done)]() mutable {
        if (PartitionDriver* driver = impl->Find(partition); driver != nullptr) {
          driver->HandOver(std::move(to), std::move(done));
        } else {
          done(UnknownPartition(partition));
        }
      });
}

void Replicator::HandOverAll(absl::AnyInvocable<void(absl::Status)> done) {
  impl_->loop().Post(
      [impl = impl_, done = std::move(done)]() mutable { impl->HandOverAll(std::move(done)); });
}

void Replicator::Status(StatusDone done) {
  impl_->loop().Post([impl = impl_, done = std::move(done)]() mutable { done(impl->Statuses()); });
}

void Replicator::Post(Task task) { impl_->loop().Post(std::move(task)); }

std::vector<NodeStatus> Replicator::Nodes() const { return impl_->Nodes(); }

ScrubStats Replicator::Scrub() const { return impl_->Scrub(); }
OwnerStages Replicator::Stages() const { return impl_->node().stages().Read(); }

void Replicator::SetDiskUsage(const DiskUsage& usage) {
  impl_->loop().Post([impl = impl_, usage] { impl->node().disk().OnUsage(usage); });
}

void Replicator::SetAlive(const NodeId& node, ProcessLife life, bool alive) {
  impl_->loop().Post([impl = impl_, node, life, alive] { impl->SetAlive(node, life, alive); });
}

}  // namespace forebay
