#include "replication/node_state.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "replication/core/placement.h"
#include "replication/core/producer_table.h"
#include "runtime/log.h"

namespace forebay {
namespace {

constexpr absl::Duration kSwapRetry = absl::Milliseconds(50);
constexpr int kReadsSnapshotFormat2 = 1;  // NodeRecord::level
constexpr size_t kCreatedAtOnceMax = 500;
constexpr size_t kTrimBytesMax = 8 << 20;
// One record for all that is found within a second.
constexpr absl::Duration kTellDamageEvery = absl::Seconds(1);

// Blocking: the snapshot first. If the blocks can still be read from the extent's start after
// that, the snapshot was the one that is true there.
struct SegmentRead {
  FetchReply reply;
  std::optional<Damage> damage;  // that kept it from being read
};

SegmentRead ReadSegment(WalStore& store, const FetchRequest& request, SegmentExtent extent) {
  SegmentRead read{{request.request, request.segment, FetchAnswer::kHave, extent, {}, {}}, {}};
  FetchReply& reply = read.reply;
  const auto fail = [&](const absl::Status& status, const Damage& damage) {
    const bool surely = status.code() == absl::StatusCode::kNotFound;
    reply.answer = surely ? FetchAnswer::kSurelyNot : FetchAnswer::kUnknown;
    if (absl::IsDataLoss(status)) read.damage = damage;
    return read;
  };
  if (request.with_snapshot) {
    auto snapshot = store.ReadSnapshot(request.segment);
    if (!snapshot.ok()) return fail(snapshot.status(), {});
    reply.snapshot = *std::move(snapshot);
  }
  const Offset from = std::max(request.from, extent.start);
  if (from >= extent.tail) return read;
  auto blocks = store.Read(request.segment, from, request.bytes_max);
  if (!blocks.ok()) return fail(blocks.status(), {from});
  // What is not durable yet is not here yet.
  std::erase_if(*blocks, [&](const StoredBlock& block) { return block.end() > extent.tail; });
  reply.blocks = *std::move(blocks);
  return read;
}

}  // namespace

NodeState::NodeState(const ReplicatorParts& parts, Random random, ReplicatorOptions options)
    : clock_(parts.clock),
      loop_(parts.loop),
      reads_(parts.reads),
      random_(random),
      store_(parts.store),
      metadata_(parts.metadata),
      transport_(parts.transport),
      liveness_(parts.liveness),
      options_(std::move(options)),
      replica_(options_.self.id, store_.marker().incarnation, store_.content_at_open()),
      disk_(options_.disk, options_.data_directory),
      scrubber_(options_.disk),
      started_at_(clock_.Now()) {
  options_.self.incarnation = store_.marker().incarnation;
  options_.self.level = kReadsSnapshotFormat2;
}

void NodeState::Post(Task task) {
  loop_.Post([weak = weak_from_this(), task = std::move(task)]() mutable {
    const auto state = weak.lock();
    if (state != nullptr && !state->stopped_) task();
  });
}

void NodeState::PostAfter(absl::Duration delay, Task task) {
  loop_.PostAfter(delay, [weak = weak_from_this(), task = std::move(task)]() mutable {
    const auto state = weak.lock();
    if (state != nullptr && !state->stopped_) task();
  });
}

void NodeState::ServeFetch(const FetchRequest& request, FetchDone done) {
  const auto extent = replica_.DurableExtent(request.segment);
  if (!extent.has_value()) {
    done({request.request, request.segment, FetchAnswer::kSurelyNot, {}, {}, {}});
    return;
  }
  reads_.Post(
      [weak = weak_from_this(), this, request, extent = *extent, done = std::move(done)]() mutable {
        const auto state = weak.lock();
        if (state == nullptr || state->stopped_) return;
        SegmentRead read = ReadSegment(store_, request, extent);
        Post([this, read = std::move(read), done = std::move(done)]() mutable {
          if (read.damage.has_value()) OnDamage(read.reply.segment, *read.damage);
          done(std::move(read.reply));
        });
      });
}

void NodeState::ReadDigests(std::vector<StoredBlock> blocks,
                            absl::AnyInvocable<void(std::vector<StoredBlock>)> done) {
  reads_.Post([weak = weak_from_this(), this, blocks = std::move(blocks),
               done = std::move(done)]() mutable {
    const auto state = weak.lock();
    if (state == nullptr || state->stopped_) return;
    for (const StoredBlock& stored : blocks) stored.block.ContentDigest().status().IgnoreError();
    Post([blocks = std::move(blocks), done = std::move(done)]() mutable {
      done(std::move(blocks));
    });
  });
}

void NodeState::TrimLocal(const PartitionId& partition, const Chain& chain, Offset floor) {
  const int format = SnapshotFormat();
  for (const Segment& segment : chain.segments) {
    const SegmentKey key{partition, segment.epoch};
    const auto extent = replica_.DurableExtent(key);
    const bool leaves_soon = segment.end.has_value() && *segment.end <= floor;
    if (!extent.has_value() || leaves_soon || extent->start >= std::min(floor, extent->tail) ||
        trimming_[key]) {
      continue;
    }
    trimming_[key] = true;
    reads_.Post([weak = weak_from_this(), this, key, extent = *extent, floor, format] {
      const auto state = weak.lock();
      if (state == nullptr || state->stopped_) return;
      const SegmentRead segment =
          ReadSegment(store_, {0, key, extent.start, kTrimBytesMax, true}, extent);
      const FetchReply& read = segment.reply;
      auto table = ProducerTable::Decode(read.snapshot.value_or(""));
      Offset start = extent.start;
      if (read.answer == FetchAnswer::kHave && table.ok()) {
        for (const StoredBlock& block : read.blocks) {
          if (block.first != start || block.end() > floor) break;
          table->Apply(block.block, block.first);
          start = block.end();
        }
      }
      Post([this, key, before = extent.start, start, damage = segment.damage,
            snapshot = table.ok() ? table->Encode(format) : std::string()] {
        trimming_.erase(key);
        if (damage.has_value()) OnDamage(key, *damage);
        Write(replica_.Trim(key, before, start, snapshot));
      });
    });
  }
}

void NodeState::SwapChain(const PartitionId& partition, uint64_t version, Chain chain,
                          absl::AnyInvocable<void(ChainSwap)> done) {
  TrySwap({partition, version, std::move(chain)}, std::move(done));
}

void NodeState::SwapChainOrNot(const PartitionId& partition, uint64_t version, Chain chain,
                               absl::AnyInvocable<void(ChainSwap)> done) {
  TrySwap({partition, version, std::move(chain), /*may_end=*/true}, std::move(done));
}

// A swap that cannot be applied changes nothing, and is refused as such only where it could be
// written. One at a time, for all who ask meanwhile: in trouble, each may take the time-out.
void NodeState::AskForWrites(absl::AnyInvocable<void(bool)> done) {
  ask_for_writes_.push_back(std::move(done));
  if (ask_for_writes_.size() > 1) return;
  constexpr uint64_t kNoVersion = std::numeric_limits<int64_t>::max();
  metadata_.CompareAndSwap(NodeKey(self().id), kNoVersion, Encode(self()),
                           [weak = weak_from_this(), this](const SwapResult& result) {
                             const auto state = weak.lock();
                             if (state == nullptr) return;
                             Post([this, takes = absl::IsAborted(result.status())] {
                               for (auto& each : std::exchange(ask_for_writes_, {})) each(takes);
                             });
                           });
}

bool NodeState::MayCreateChain() const { return creating_ < kCreatedAtOnceMax; }

void NodeState::CreateChain(const PartitionId& partition, Chain chain,
                            absl::AnyInvocable<void(ChainSwap)> done) {
  ++creating_;
  SwapChain(partition, 0, std::move(chain), [this, done = std::move(done)](ChainSwap swap) mutable {
    --creating_;
    done(std::move(swap));
  });
}

void NodeState::TrySwap(SwapTry swap, absl::AnyInvocable<void(ChainSwap)> done) {
  const std::string key = ChainKey(swap.partition), value = Encode(swap.chain);
  const uint64_t version = swap.version;
  metadata_.CompareAndSwap(key, version, value,
                           [weak = weak_from_this(), this, swap = std::move(swap),
                            done = std::move(done)](SwapResult result) mutable {
                             const auto state = weak.lock();
                             if (state == nullptr) return;
                             Post([this, swap = std::move(swap), done = std::move(done),
                                   result = std::move(result)]() mutable {
                               OnSwapTried(std::move(swap), result, std::move(done));
                             });
                           });
}

void NodeState::OnSwapTried(SwapTry swap, const SwapResult& result,
                            absl::AnyInvocable<void(ChainSwap)> done) {
  if (result.ok()) return done({true, {*result, std::move(swap.chain)}});
  if (absl::IsAborted(result.status())) {
    // An earlier try of ours, thought lost, may have been the one that moved the version.
    return ReadChain(swap.partition, [chain = std::move(swap.chain),
                                      done = std::move(done)](VersionedChain now) mutable {
      const Segment& mine = chain.segments.back();
      const bool applied =
          std::any_of(now.chain.segments.begin(), now.chain.segments.end(), [&](const Segment& s) {
            return s.epoch == mine.epoch && s.owner == mine.owner &&
                   s.owner_life == mine.owner_life;
          });
      done({applied, std::move(now)});
    });
  }
  if (swap.may_end && absl::IsCancelled(result.status())) return done({false, {}});
  swap.may_end = false;  // this try may still be applied
  PostAfter(kSwapRetry, [this, swap = std::move(swap), done = std::move(done)]() mutable {
    TrySwap(std::move(swap), std::move(done));
  });
}

void NodeState::ReadChain(const PartitionId& partition,
                          absl::AnyInvocable<void(VersionedChain)> done) {
  metadata_.Read(
      ChainKey(partition), [weak = weak_from_this(), this, partition, done = std::move(done)](
                               absl::StatusOr<std::optional<MetadataRecord>> record) mutable {
        const auto state = weak.lock();
        if (state == nullptr) return;
        Post([this, partition, done = std::move(done), record = std::move(record)]() mutable {
          if (record.ok() && !record->has_value()) {
            done({});
            return;
          }
          absl::StatusOr<Chain> chain =
              record.ok() ? DecodeChain((*record)->value) : absl::StatusOr<Chain>(record.status());
          if (chain.ok()) {
            done({(*record)->version, *std::move(chain)});
            return;
          }
          if (record.ok()) {
            Log(LogLevel::kError,
                absl::StrCat("cannot read the chain of ", partition.ToString(),
                             ", asking again: ", std::string(chain.status().message())));
          }
          PostAfter(kSwapRetry, [this, partition, done = std::move(done)]() mutable {
            ReadChain(partition, std::move(done));
          });
        });
      });
}

bool NodeState::LookAtDisk() {
  const WalStats stats = store_.stats();
  disk_.OnTick(Now(), stats.oldest_wait);
  replica_.SetFull(disk_.on_reserve());
  NodeRecord& self = options_.self;
  const bool tells = self.damage != damage_mark_ && Now() - damage_told_ >= kTellDamageEvery;
  if (tells) {
    damage_told_ = Now();
    self.damage = damage_mark_;
    live_.reset();
  }
  if (self.disk_full == disk_.full() && self.disk_slow == disk_.slow()) return tells;
  if (self.disk_full != disk_.full()) {
    Log(disk_.full() ? LogLevel::kWarning : LogLevel::kInfo,
        absl::StrCat(disk_.Level(), disk_.full()
                                        ? ": taking no more appends, handing partitions over"
                                        : ": taking appends again"));
  }
  if (self.disk_slow != disk_.slow()) {
    Log(disk_.slow() ? LogLevel::kWarning : LogLevel::kInfo,
        absl::StrCat("the disk of data_directory ", options_.data_directory,
                     disk_.slow() ? " is slow, a write has waited for " : " is quick again",
                     disk_.slow() ? absl::FormatDuration(stats.oldest_wait) : "",
                     disk_.slow() ? ": handing partitions over" : ""));
  }
  self.disk_full = disk_.full();
  self.disk_slow = disk_.slow();
  live_.reset();
  return true;
}

void NodeState::SetRecord(const NodeRecord& record) {
  nodes_[record.id].record = record;
  live_.reset();
  std::map<NodeId, std::string> addresses;
  for (const auto& [id, view] : nodes_) {
    if (view.record.has_value() && id != self().id) addresses[id] = view.record->address;
  }
  transport_.SetPeers(std::move(addresses));
}

void NodeState::SetAlive(const NodeId& node, ProcessLife life, bool alive) {
  NodeView& view = nodes_[node];
  if (view.alive != alive) view.since = Now();
  view.life = life;
  view.alive = alive;
  live_.reset();
}

const NodeRecord* NodeState::Record(const NodeId& node) const {
  if (node == self().id) return &options_.self;
  const auto found = nodes_.find(node);
  return found == nodes_.end() || !found->second.record.has_value() ? nullptr
                                                                    : &*found->second.record;
}

int NodeState::SnapshotFormat() const {
  // The watch tells of all nodes at once, so until this node's own record came from there, others
  // are not known either.
  const auto own = nodes_.find(self().id);
  if (own == nodes_.end() || !own->second.record.has_value()) return 1;
  const bool all = std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) {
    return !node.second.record.has_value() || node.second.record->level >= kReadsSnapshotFormat2;
  });
  return all ? ProducerTable::kFormat : 1;
}

bool NodeState::IsAliveView(const NodeView& view) const {
  return view.record.has_value() && view.alive && view.life == view.record->life;
}

bool NodeState::IsAlive(const NodeId& node) const {
  if (node == self().id) return true;
  const auto found = nodes_.find(node);
  return found != nodes_.end() && IsAliveView(found->second);
}

bool NodeState::OwnerSeemsGone(const Segment& segment) const {
  if (segment.owner == self().id) return segment.owner_life != self().life;
  const auto found = nodes_.find(segment.owner);
  if (found != nodes_.end() && found->second.alive) return found->second.life != segment.owner_life;
  // Our own start is not the peer's failure: it has had no time to be heard yet.
  return Now() - started_at_ > 2 * options_.liveness.suspect_after;
}

const NodeState::LiveView& NodeState::Live() const {
  if (live_.has_value()) return *live_;
  std::vector<NodeRecord> live{self()};
  for (const auto& [id, view] : nodes_) {
    if (id != self().id && IsAliveView(view) && !view.record->draining) {
      live.push_back(*view.record);
    }
  }
  std::stable_partition(live.begin(), live.end(),
                        [this](const NodeRecord& node) { return !IsLeaving(node); });
  std::vector<NodeRecord> fit;
  std::copy_if(live.begin(), live.end(), std::back_inserter(fit), IsFitToOwn);
  live_ = {live, FirstOwners(fit.empty() ? live : fit)};
  return *live_;
}

void NodeState::SetMaintenance(const std::string& key, const MaintenanceRecord& record) {
  live_.reset();
  if (record.leaving) {
    maintenance_[key] = record;
  } else {
    maintenance_.erase(key);
  }
}

bool NodeState::IsLeaving(const NodeRecord& node) const {
  return std::any_of(maintenance_.begin(), maintenance_.end(), [&](const auto& item) {
    const MaintenanceRecord& record = item.second;
    return record.of == MaintenanceRecord::Of::kZone ? record.name == node.zone.value()
                                                     : record.name == node.id.value();
  });
}

std::vector<RepairNode> NodeState::RepairNodes() const {
  std::vector<RepairNode> nodes;
  const auto add = [&](const NodeRecord& record, bool alive, bool gone_long) {
    const bool leaving = IsLeaving(record);
    NodeId replaces;
    for (const auto& [key, maintenance] : maintenance_) {
      if (maintenance.replacement == record.id) replaces = NodeId(maintenance.name);
    }
    nodes.push_back({record, alive, gone_long || leaving, leaving, std::move(replaces)});
  };
  add(self(), true, false);
  for (const auto& [id, view] : nodes_) {
    if (id == self().id || !view.record.has_value()) continue;
    const bool alive = IsAliveView(view);
    const absl::Time gone_since = std::max(view.since, started_at_);
    const bool gone_long = !alive && Now() - gone_since > options_.liveness.replace_after;
    add(*view.record, alive, gone_long);
  }
  return nodes;
}

std::vector<NodeStatus> NodeState::Statuses() const {
  std::vector<NodeStatus> statuses{{self(), true, IsLeaving(self())}};
  for (const auto& [id, view] : nodes_) {
    if (id != self().id && view.record.has_value()) {
      statuses.push_back({*view.record, IsAliveView(view), IsLeaving(*view.record)});
    }
  }
  return statuses;
}

}  // namespace forebay
