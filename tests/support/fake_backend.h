// FakeBackend: a node without replication behind the gRPC services, that does as it is told.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node_api/rpc_backend.h"
#include "runtime/mutex.h"

namespace forebay {

// Thread-safe. Owns every partition of its streams unless told otherwise; answers inline.
class FakeBackend {
 public:
  explicit FakeBackend(std::string name) : self_(std::move(name)) {
    StreamOptions web;
    web.name = StreamId("web");
    web.partitions = 2;
    streams_.emplace(web.name, web);
  }

  RpcBackend Functions() {
    RpcBackend backend;
    backend.self = self_;
    backend.append = [this](const PartitionId& partition, Block block,
                            RpcBackend::AppendDone done) {
      if (const auto result = Append(partition, std::move(block)); result.has_value()) {
        done(*result);
      } else {
        MutexLock lock(mutex_);
        unanswered_.push_back(std::move(done));
      }
    };
    backend.read = [this](const PartitionId& partition, Offset from, size_t,
                          RpcBackend::ReadDone done) { done(Read(partition, from)); };
    backend.take_over = [this](const PartitionId& partition, Epoch seen, RpcBackend::Done done) {
      {
        MutexLock lock(mutex_);
        asked_.push_back("take over " + partition.ToString() + " seen " +
                         std::to_string(seen.value()));
        owners_[partition] = self_;
      }
      done(absl::OkStatus());
    };
    backend.hand_over = [this](const PartitionId& partition, const NodeId& to,
                               RpcBackend::Done done) {
      Note("hand over " + partition.ToString() + " to '" + to.value() + "'");
      done(absl::OkStatus());
    };
    backend.hand_over_all = [this](RpcBackend::Done done) {
      Note("hand over all");
      done(absl::OkStatus());
    };
    backend.status = [this](RpcBackend::StatusDone done) { done(Statuses()); };
    backend.post = [](Task task) { task(); };
    backend.nodes = [this] {
      MutexLock lock(mutex_);
      return nodes_;
    };
    backend.stream = [this](const StreamId& stream) -> std::optional<StreamOptions> {
      MutexLock lock(mutex_);
      const auto found = streams_.find(stream);
      if (found == streams_.end()) return std::nullopt;
      return found->second;
    };
    backend.look_up_stream = [this](const StreamId& stream, RpcBackend::StreamDone done) {
      Note("look up " + stream.value());
      done(LookUp(stream));
    };
    AddAdministration(backend);
    AddSetAside(backend);
    backend.produce = [this](const StreamId& stream, const std::vector<Event>& events,
                             RpcBackend::ProduceDone done) { done(Produce(stream, events)); };
    return backend;
  }

  // The next appends end like this instead; nothing: they are never answered.
  void NextResult(std::optional<AppendResult> result) {
    MutexLock lock(mutex_);
    scripted_.push_back(std::move(result));
  }
  void NextResult(Outcome outcome, absl::Status status) {
    AppendResult result;
    result.outcome = outcome;
    result.status = std::move(status);
    NextResult(result);
  }
  void SetOwner(const PartitionId& partition, const std::string& node) {
    MutexLock lock(mutex_);
    owners_[partition] = NodeId(node);
  }
  void SetNodes(const std::map<std::string, std::string>& addresses) {
    MutexLock lock(mutex_);
    nodes_.clear();
    for (const auto& [name, address] : addresses) {
      NodeStatus node;
      node.record.id = NodeId(name);
      node.record.zone = ZoneId("zone-" + name);
      node.record.address = address;
      node.alive = true;
      nodes_.push_back(node);
    }
  }
  void TrimTo(const PartitionId& partition, Offset floor) {
    MutexLock lock(mutex_);
    floors_[partition] = floor;
  }
  // The block that begins there is passed over.
  void SetAside(Offset first) {
    MutexLock lock(mutex_);
    set_aside_.insert(first);
  }
  // As if a version that did not look had stored it.
  void Store(const PartitionId& partition, Block block) {
    MutexLock lock(mutex_);
    std::vector<StoredBlock>& blocks = blocks_[partition];
    const Offset first = blocks.empty() ? Offset() : blocks.back().end();
    blocks.push_back({first, std::move(block)});
  }
  // As if the block with this offset had never been there; the rest stays.
  void Forget(const PartitionId& partition, Offset offset) {
    MutexLock lock(mutex_);
    std::erase_if(blocks_[partition], [&](const StoredBlock& block) {
      return block.first <= offset && offset < block.end();
    });
  }
  // What the status says from now on, whatever is there.
  void SayCommitted(const PartitionId& partition, Offset committed) {
    MutexLock lock(mutex_);
    committed_[partition] = committed;
  }
  // A stream that the metadata store knows, and this node does not.
  void CreateElsewhere(const std::string& name, uint32_t partitions) {
    StreamOptions options;
    options.name = StreamId(name);
    options.partitions = partitions;
    MutexLock lock(mutex_);
    elsewhere_.emplace(options.name, options);
  }
  // The metadata store does not answer.
  void SetStoreDown(bool down) {
    MutexLock lock(mutex_);
    store_down_ = down;
  }
  // What it was asked to do, but for appends and reads.
  std::vector<std::string> asked() {
    MutexLock lock(mutex_);
    return asked_;
  }
  size_t unanswered() {
    MutexLock lock(mutex_);
    return unanswered_.size();
  }
  size_t BlockCount(const PartitionId& partition) {
    MutexLock lock(mutex_);
    return blocks_[partition].size();
  }

 private:
  void AddAdministration(RpcBackend& backend) {
    backend.create_stream = [this](const StreamOptions& options, RpcBackend::Done done) {
      Note("create " + options.name.value());
      done(options.Validate());
    };
    backend.set_maintenance = [this](const MaintenanceRecord& record, RpcBackend::Done done) {
      Note(Encode(record));
      done(absl::OkStatus());
    };
  }
  void AddSetAside(RpcBackend& backend) {
    backend.set_aside = [this](const PartitionId& partition, Offset offset,
                               RpcBackend::SetAsideDone done) {
      Note("set aside " + partition.ToString() + " " + std::to_string(offset.value()));
      SetAside(offset);
      done(SetAsideBlock{offset, offset + 2, 0});
    };
    backend.is_set_aside = [this](const PartitionId&, const SetAsideBlock& block,
                                  RpcBackend::IsSetAsideDone done) {
      MutexLock lock(mutex_);
      done(set_aside_.contains(block.first));
    };
  }
  void Note(std::string what) {
    MutexLock lock(mutex_);
    asked_.push_back(std::move(what));
  }

  absl::StatusOr<StreamOptions> LookUp(const StreamId& stream) {
    MutexLock lock(mutex_);
    if (store_down_) {
      return WithRetryAfter(absl::UnavailableError("cannot tell"), absl::Milliseconds(200));
    }
    const auto found = elsewhere_.find(stream);
    if (found == elsewhere_.end()) return NoSuchStream(stream);
    streams_.insert(*found);
    return found->second;
  }

  std::optional<AppendResult> Append(const PartitionId& partition, Block block) {
    MutexLock lock(mutex_);
    if (!scripted_.empty()) {
      std::optional<AppendResult> result = std::move(scripted_.front());
      scripted_.pop_front();
      if (result.has_value()) result->partition = partition;
      return result;
    }
    AppendResult result;
    result.partition = partition;
    if (owners_.contains(partition) && owners_[partition] != self_) {
      result.outcome = Outcome::kNotStored;
      result.status = absl::UnavailableError("not the owner of " + partition.ToString());
      return result;
    }
    std::vector<StoredBlock>& blocks = blocks_[partition];
    result.outcome = Outcome::kAcknowledged;
    result.zones = 2;
    for (const StoredBlock& stored : blocks) {
      if (stored.block.stamp() != block.stamp()) continue;
      result.offset = stored.first;
      return result;
    }
    result.offset = blocks.empty() ? Offset() : blocks.back().end();
    blocks.push_back({result.offset, std::move(block)});
    return result;
  }

  std::vector<AppendResult> Produce(const StreamId& stream, const std::vector<Event>& events) {
    std::vector<AppendResult> results;
    for (const Event& event : events) {
      const BlockStamp stamp{ProducerId("node"), 0, produced_++};
      results.push_back(*Append({stream, 0}, *EncodeBlock(stamp, {&event, 1}, Codec::kNone)));
    }
    return results;
  }

  absl::StatusOr<std::vector<StoredBlock>> Read(const PartitionId& partition, Offset from) {
    MutexLock lock(mutex_);
    if (owners_.contains(partition) && owners_[partition] != self_) {
      return absl::UnavailableError("not the owner");
    }
    if (from < floors_[partition]) return absl::OutOfRangeError("trimmed");
    std::vector<StoredBlock> out;
    for (const StoredBlock& stored : blocks_[partition]) {
      if (stored.end() > from && out.size() < 2) out.push_back(stored);
    }
    return out;
  }

  std::vector<PartitionStatus> Statuses() {
    MutexLock lock(mutex_);
    std::vector<PartitionStatus> statuses;
    for (const auto& [name, stream] : streams_) {
      for (uint32_t i = 0; i < stream.partitions; i++) {
        PartitionStatus status;
        status.partition = {name, i};
        status.chain_version = 5;
        const auto owner = owners_.find(status.partition);
        Segment segment;
        segment.epoch = Epoch(3);
        segment.owner = owner == owners_.end() ? self_ : owner->second;
        for (const NodeStatus& node : nodes_) {
          segment.replicas.push_back({node.record.id, Incarnation(1), node.record.zone});
        }
        status.owned_here = segment.owner == self_;
        if (!blocks_[status.partition].empty()) {
          status.committed = blocks_[status.partition].back().end();
        }
        if (committed_.contains(status.partition)) {
          status.committed = committed_[status.partition];
        }
        status.trim_floor = floors_[status.partition];
        status.chain.segments.push_back(segment);
        statuses.push_back(std::move(status));
      }
    }
    return statuses;
  }

  const NodeId self_;
  Mutex mutex_;
  std::map<StreamId, StreamOptions> streams_ ABSL_GUARDED_BY(mutex_);
  std::map<StreamId, StreamOptions> elsewhere_ ABSL_GUARDED_BY(mutex_);
  bool store_down_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<PartitionId, NodeId> owners_ ABSL_GUARDED_BY(mutex_);
  std::map<PartitionId, Offset> floors_ ABSL_GUARDED_BY(mutex_);
  std::set<Offset> set_aside_ ABSL_GUARDED_BY(mutex_);
  std::map<PartitionId, Offset> committed_ ABSL_GUARDED_BY(mutex_);
  std::map<PartitionId, std::vector<StoredBlock>> blocks_ ABSL_GUARDED_BY(mutex_);
  std::vector<NodeStatus> nodes_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::optional<AppendResult>> scripted_ ABSL_GUARDED_BY(mutex_);
  std::vector<RpcBackend::AppendDone> unanswered_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> asked_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> produced_{0};
};

}  // namespace forebay
