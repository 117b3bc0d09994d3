// A stand-in for the nodes, as a producer sees them: owners that drop repeats and refuse gaps, and
// that can be killed, silenced, busy, or replaced.
#pragma once

#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "producer/ingest_link.h"
#include "runtime/executor.h"

namespace forebay {

// Confined to the executor. Answers come `latency` later, on the executor.
class FakeCluster final : public IngestLink {
 public:
  struct SeenBlock {
    NodeId node;
    PartitionId partition;
    BlockStamp stamp;
    uint32_t events = 0;
  };
  struct Ask {
    NodeId node;
    PartitionId partition;
    Epoch epoch;
  };

  FakeCluster(Executor& executor, StreamId stream, uint32_t partitions)
      : executor_(executor), stream_(std::move(stream)) {
    for (uint32_t i = 0; i < partitions; i++) {
      PartitionId id{.stream = stream_, .index = i};
      Log& log = logs_[id];
      log.epoch = Epoch(1);
      log.owner = nodes_[i % nodes_.size()];
    }
  }

  absl::Duration latency = absl::Milliseconds(1);
  std::set<NodeId> dead;            // the connection breaks at once
  std::set<NodeId> silent;          // takes nothing, answers nothing
  std::set<NodeId> losing_answers;  // takes, but answers nothing
  std::set<uint32_t> stuck;         // partitions of which nothing is taken or answered
  // An owner's limit: what is taken waits `latency / 2`, and over this much it takes no more.
  size_t waiting_blocks_max = std::numeric_limits<size_t>::max();
  // Answers in place of the owners', until it is empty. What it answers is not taken.
  std::deque<AppendResult> answers;
  std::deque<absl::Status> describe_answers;
  // What a node that has heard too little would say.
  std::function<void(StreamRoutes&)> alter_routes = [](StreamRoutes&) {};
  std::function<bool()> drop_request = [] { return false; };
  std::function<bool()> drop_answer = [] { return false; };
  bool take_over_when_asked = true;

  std::vector<SeenBlock> seen;  // all that was sent
  std::vector<Ask> asks;
  int describes = 0;

  const std::vector<NodeId>& nodes() const { return nodes_; }
  static ZoneId ZoneOf(const NodeId& node) { return ZoneId(node.value().substr(0, 1)); }
  PartitionId Partition(uint32_t index) const { return {.stream = stream_, .index = index}; }
  const std::vector<Event>& Stored(uint32_t index) { return logs_.at(Partition(index)).stored; }
  std::vector<Event> AllStored() const {
    std::vector<Event> all;
    for (const auto& [id, log] : logs_) {
      all.insert(all.end(), log.stored.begin(), log.stored.end());
    }
    return all;
  }
  const NodeId& OwnerOf(uint32_t index) { return logs_.at(Partition(index)).owner; }
  void Move(uint32_t index, const NodeId& to) {
    Log& log = logs_.at(Partition(index));
    log.owner = to;
    log.epoch = Next(log.epoch);
  }
  void ForgetProducers() {
    for (auto& [id, log] : logs_) log.producers.clear();
  }
  // As another process with the same producer id and this epoch would.
  void Fence(uint32_t index, const ProducerId& producer, uint64_t epoch) {
    logs_.at(Partition(index)).producers[producer] = {.epoch = epoch, .next = 0, .offsets = {}};
  }

  void Describe(const StreamId& stream, RoutesDone done) override {
    describes++;
    absl::Status status;
    if (!describe_answers.empty()) {
      status = describe_answers.front();
      describe_answers.pop_front();
    }
    if (!status.ok()) {
      return executor_.PostAfter(latency,
                                 [status, done = std::move(done)]() mutable { done(status); });
    }
    StreamRoutes routes{.stream = stream, .codec = Codec::kLz4, .routes = {}};
    for (const auto& [id, log] : logs_) {
      routes.routes.push_back({.partition = id,
                               .epoch = log.epoch,
                               .owner = log.owner,
                               .owner_zone = ZoneOf(log.owner),
                               .replicas = nodes_});
    }
    alter_routes(routes);
    executor_.PostAfter(latency, [routes = std::move(routes), done = std::move(done)]() mutable {
      done(std::move(routes));
    });
  }

  void SendBlock(const NodeId& node, const PartitionId& partition, Block block,
                 AppendDone done) override {
    seen.push_back({node, partition, block.stamp(), block.event_count()});
    if (dead.contains(node)) {
      return Answer(std::move(done),
                    {.outcome = Outcome::kUnknown, .status = absl::UnavailableError("broken")});
    }
    if (silent.contains(node) || stuck.contains(partition.index) || drop_request()) return;
    if (waiting_blocks_ >= waiting_blocks_max) {
      return Answer(std::move(done), NotStored(absl::ResourceExhaustedError("window_bytes")));
    }
    waiting_blocks_++;
    executor_.PostAfter(latency / 2, [this, node, partition, block = std::move(block),
                                      done = std::move(done)]() mutable {
      waiting_blocks_--;
      AppendResult result = Take(node, partition, block);
      if (!losing_answers.contains(node) && !drop_answer()) Answer(std::move(done), result);
    });
  }

  void AskToTakeOver(const NodeId& node, const PartitionId& partition, Epoch epoch,
                     Done done) override {
    asks.push_back({node, partition, epoch});
    if (dead.contains(node) || silent.contains(node)) return;
    executor_.PostAfter(absl::Milliseconds(50),
                        [this, node, partition, epoch, done = std::move(done)]() mutable {
                          Log& log = logs_.at(partition);
                          const bool gone = dead.contains(log.owner) || silent.contains(log.owner);
                          if (take_over_when_asked && gone && log.epoch == epoch)
                            Move(partition.index, node);
                          done(absl::OkStatus());
                        });
  }

 private:
  struct Producers {
    uint64_t epoch = 0;
    uint64_t next = 0;
    std::map<uint64_t, std::pair<uint32_t, Offset>> offsets;  // by first sequence
  };
  struct Log {
    Epoch epoch;
    NodeId owner;
    std::vector<Event> stored;
    std::map<ProducerId, Producers> producers;
  };

  void Answer(AppendDone done, AppendResult result) {
    executor_.PostAfter(latency / 2, [done = std::move(done), result]() mutable { done(result); });
  }

  AppendResult Take(const NodeId& node, const PartitionId& partition, const Block& block) {
    if (!answers.empty()) {
      AppendResult result = answers.front();
      answers.pop_front();
      return result;
    }
    Log& log = logs_.at(partition);
    if (log.owner != node) return NotStored(absl::UnavailableError("not the owner"));
    const BlockStamp& stamp = block.stamp();
    Producers& known = log.producers[stamp.producer];
    if (stamp.producer_epoch < known.epoch) {
      return NotStored(absl::FailedPreconditionError("is fenced"));
    }
    if (stamp.producer_epoch > known.epoch) known = {.epoch = stamp.producer_epoch, .offsets = {}};
    const auto repeat = known.offsets.find(stamp.first_sequence);
    if (repeat != known.offsets.end() && repeat->second.first == block.event_count()) {
      return Stored(partition, repeat->second.second);
    }
    if (stamp.first_sequence != known.next) {
      return NotStored(
          absl::FailedPreconditionError(absl::StrCat("leaves a gap, expected ", known.next)));
    }
    const Offset first(log.stored.size());
    known.next += block.event_count();
    known.offsets[stamp.first_sequence] = {block.event_count(), first};
    const std::vector<Event> events = block.Decode().value();
    log.stored.insert(log.stored.end(), events.begin(), events.end());
    return Stored(partition, first);
  }

  static AppendResult NotStored(absl::Status status) {
    return {.outcome = Outcome::kNotStored, .status = std::move(status)};
  }
  static AppendResult Stored(const PartitionId& partition, Offset first) {
    return {.outcome = Outcome::kAcknowledged,
            .status = absl::OkStatus(),
            .partition = partition,
            .offset = first,
            .zones = 2};
  }

  Executor& executor_;
  const StreamId stream_;
  size_t waiting_blocks_ = 0;
  const std::vector<NodeId> nodes_ = {NodeId("a1"), NodeId("b1"), NodeId("c1")};
  std::map<PartitionId, Log> logs_;
};

}  // namespace forebay
