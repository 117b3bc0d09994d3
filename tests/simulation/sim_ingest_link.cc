#include "simulation/sim_ingest_link.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace forebay {
namespace {

// As GrpcIngestLinkOptions has it.
constexpr absl::Duration kDescribeAttempt = absl::Milliseconds(300);
constexpr absl::Duration kWatchEvery = absl::Milliseconds(20);

StreamRoutes RoutesFrom(const StreamId& stream, const std::vector<PartitionStatus>& statuses) {
  StreamRoutes routes;
  routes.stream = stream;
  routes.codec = Codec::kNone;
  for (const PartitionStatus& status : statuses) {
    if (status.partition.stream != stream) continue;
    Route route;
    route.partition = status.partition;
    if (!status.chain.segments.empty()) {
      const Segment& open = status.chain.segments.back();
      route.epoch = open.epoch;
      route.owner = open.owner;
      for (const Replica& replica : open.replicas) {
        route.replicas.push_back(replica.node);
        if (replica.node == open.owner) route.owner_zone = replica.zone;
      }
    }
    routes.routes.push_back(std::move(route));
  }
  std::sort(routes.routes.begin(), routes.routes.end(),
            [](const Route& a, const Route& b) { return a.partition < b.partition; });
  return routes;
}

}  // namespace

SimIngestLink::SimIngestLink(SimWorldParts parts, Executor& executor, Random random, NodeId self,
                             std::vector<SimNode*> nodes)
    : parts_(std::move(parts)),
      executor_(executor),
      random_(random),
      self_(std::move(self)),
      nodes_(std::move(nodes)) {}

SimNode* SimIngestLink::Find(const NodeId& node) const {
  for (SimNode* candidate : nodes_) {
    if (candidate->id() == node) return candidate;
  }
  return nullptr;
}

bool SimIngestLink::Reach(const NodeId& node, bool in_order, Serve serve) {
  const auto fate = parts_.network.Fate(self_, node);
  SimNode* target = Find(node);
  if (!fate || target == nullptr) return false;
  absl::Time arrival = parts_.simulation.Now() + *fate;
  if (in_order) {
    absl::Time& last = connections_[node].last_arrival;
    arrival = last = std::max(last, arrival);
  }
  parts_.simulation.At(arrival, [target, serve = std::move(serve)] {
    if (!target->running()) return;
    target->loop().Post([target, serve] { serve(*target); });
  });
  return true;
}

bool SimIngestLink::Return(const NodeId& node, Task task) {
  const auto fate = parts_.network.Fate(node, self_);
  if (!fate) return false;
  parts_.simulation.After(
      *fate, [this, task = std::move(task)]() mutable { executor_.Post(std::move(task)); });
  return true;
}

void SimIngestLink::Describe(const StreamId& stream, RoutesDone done) {
  TryDescribe(stream, std::make_shared<RoutesDone>(std::move(done)),
              static_cast<int>(nodes_.size()));
}

void SimIngestLink::TryDescribe(StreamId stream, std::shared_ptr<RoutesDone> done, int tries) {
  if (!*done) return;
  if (tries == 0) {
    std::exchange(*done, nullptr)(absl::UnavailableError("no node answers"));
    return;
  }
  const NodeId node = nodes_[random_.Below(nodes_.size())]->id();
  Reach(node, false, [this, node, stream, done](SimNode& target) {
    target.replicator()->Status([this, node, stream, done](std::vector<PartitionStatus> statuses) {
      StreamRoutes routes = RoutesFrom(stream, statuses);
      if (routes.routes.empty()) return;  // it knows nothing yet
      Return(node, [done, routes = std::move(routes)]() mutable {
        if (*done) std::exchange(*done, nullptr)(std::move(routes));
      });
    });
  });
  executor_.PostAfter(kDescribeAttempt,
                      [this, stream, done, tries] { TryDescribe(stream, done, tries - 1); });
}

void SimIngestLink::SendBlock(const NodeId& node, const PartitionId& partition, Block block,
                              AppendDone done) {
  counters_.blocks++;
  const SimNode* target = Find(node);
  Connection& connection = connections_[node];
  if (target != nullptr && connection.calls.empty()) {
    connection.life = target->life_number();
    if (!std::exchange(connection.watched, true)) Watch(node);
  }
  const uint64_t call = connection.next_call++;
  connection.calls[call] = std::move(done);
  SendOnce(node, partition, block, connection.number, call);
}

void SimIngestLink::SendOnce(const NodeId& node, const PartitionId& partition, const Block& block,
                             uint64_t number, uint64_t call) {
  auto answer = [this, node, number, call](const AppendResult& result) {
    const bool returns = Return(node, [this, node, number, call, result] {
      Connection& connection = connections_[node];
      auto waiting = connection.calls.find(call);
      if (connection.number != number || waiting == connection.calls.end()) return;
      AppendDone done = std::move(waiting->second);
      connection.calls.erase(waiting);
      done(result);
    });
    if (!returns)
      executor_.Post([this, node, number] {
        if (connections_[node].number == number) Break(node);
      });
  };
  auto serve = [this, partition, block, answer](SimNode& target) {
    const bool stored = parts_.invariants.IsStored(block);
    target.replicator()->Append(partition, block,
                                [this, partition, block, answer, stored](AppendResult result) {
                                  counters_.not_stored += result.outcome == Outcome::kNotStored;
                                  counters_.unknown += result.outcome == Outcome::kUnknown;
                                  parts_.invariants.OnNodeAnswer(partition, block, result, stored);
                                  answer(result);
                                });
  };
  if (!Reach(node, true, serve))
    executor_.Post([this, node, number] {
      if (connections_[node].number == number) Break(node);
    });
}

void SimIngestLink::Break(const NodeId& node) {
  Connection& connection = connections_[node];
  connection.number++;
  counters_.broken++;
  AppendResult unknown;
  unknown.status = absl::UnavailableError("the connection broke");
  for (auto& [call, done] : std::exchange(connection.calls, {})) {
    executor_.PostAfter(random_.Between(absl::Milliseconds(1), absl::Milliseconds(100)),
                        [done = std::move(done), unknown]() mutable { done(unknown); });
  }
}

void SimIngestLink::Watch(const NodeId& node) {
  executor_.PostAfter(kWatchEvery, [this, node] {
    Connection& connection = connections_[node];
    if (connection.calls.empty()) {
      connection.watched = false;
      return;
    }
    const SimNode* target = Find(node);
    if (!target->running() || target->life_number() != connection.life) {
      Break(node);
      connection.life = target->life_number();
    }
    Watch(node);
  });
}

void SimIngestLink::AskToTakeOver(const NodeId& node, const PartitionId& partition, Epoch epoch,
                                  Done done) {
  counters_.take_overs++;
  auto shared = std::make_shared<Done>(std::move(done));
  Reach(node, false, [this, node, partition, epoch, shared](SimNode& target) {
    target.replicator()->TakeOver(partition, epoch, [this, node, shared](absl::Status status) {
      Return(node, [shared, status] { (*shared)(status); });
    });
  });
}

}  // namespace forebay
