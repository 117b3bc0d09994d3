// What the protocol itself costs: the quorum predicate, and one owner with two replicas in one
// process, without disk or network.
#include <benchmark/benchmark.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "block/block.h"
#include "replication/core/owner.h"
#include "replication/core/placement.h"
#include "replication/core/quorum.h"
#include "replication/core/replica.h"

namespace forebay {
namespace {

std::vector<Replica> ThreeReplicas() {
  std::vector<Replica> replicas;
  for (const char* name : {"a", "b", "c"}) {
    replicas.push_back({NodeId(name), Incarnation(1), ZoneId(name)});
  }
  return replicas;
}

void AckQuorum(benchmark::State& state) {
  const std::vector<Replica> replicas = ThreeReplicas();
  ReplicaMask set = 0;
  for (auto _ : state) {
    set = (set + 1) & 7;
    benchmark::DoNotOptimize(IsAckQuorum({2, 2}, replicas, set));
  }
}
BENCHMARK(AckQuorum);

void HighestAcked(benchmark::State& state) {
  const std::vector<Replica> replicas = ThreeReplicas();
  uint64_t n = 0;
  for (auto _ : state) {
    n++;
    benchmark::DoNotOptimize(
        HighestAckedOffset({2, 2}, replicas, {Offset(n), Offset(n - 1), Offset(n / 2)}));
  }
}
BENCHMARK(HighestAcked);

// What every survey of every partition asks of placement, in a fleet of so many nodes.
std::vector<NodeRecord> FleetOf(int64_t nodes) {
  std::vector<NodeRecord> fleet;
  for (int64_t i = 0; i < nodes; i++) {
    NodeRecord node;
    node.id = NodeId(absl::StrCat("node-", i));
    node.zone = ZoneId(absl::StrCat("zone-", i % 3));
    node.address = "192.168.100.100:7400";
    fleet.push_back(node);
  }
  return fleet;
}

void OrderNodes(benchmark::State& state) {
  const std::vector<NodeRecord> fleet = FleetOf(state.range(0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(RendezvousOrder({StreamId("web"), 7}, fleet));
  }
}
BENCHMARK(OrderNodes)->Arg(3)->Arg(30)->Arg(1000);

void PlaceOneSegment(benchmark::State& state) {
  const std::vector<NodeRecord> fleet = FleetOf(state.range(0));
  const StreamOptions stream{.name = StreamId("web")};
  for (auto _ : state) {
    benchmark::DoNotOptimize(PlaceSegment({StreamId("web"), 7}, stream, fleet[0], fleet,
                                          [](const NodeRecord&) { return false; }));
  }
}
BENCHMARK(PlaceOneSegment)->Arg(3)->Arg(30)->Arg(1000);

// Delivers messages between one owner and three replica cores until nothing is left to say.
class Trio {
 public:
  Trio() {
    for (const char* name : {"a", "b", "c"}) {
      replicas_.emplace(NodeId(name), ReplicaCore(NodeId(name), Incarnation(1), WalContent()));
    }
    const Segment open{Epoch(1),        Offset(),    std::nullopt,  {2, 2},
                       ThreeReplicas(), NodeId("a"), ProcessLife(1)};
    owner_ = std::make_unique<OwnerCore>(PartitionId{StreamId("web"), 0}, open, ProducerTable(),
                                         OwnerOptions(), now_);
    OwnerOutput out;
    owner_->Mirror(now_, out);
    Deliver(std::move(out));
  }

  void Append(Block block) {
    OwnerOutput out;
    owner_->Append(std::move(block), ++ticket_, now_, out);
    owner_->Mirror(now_, out);
    Deliver(std::move(out));
  }
  uint64_t acknowledged() const { return acknowledged_; }

 private:
  void Deliver(OwnerOutput out) {
    acknowledged_ += out.results.size();
    for (auto& [to, message] : out.outbox.messages) {
      ReplicaCore& replica = replicas_.at(to);
      Outbox answers;
      if (!replica.OnMirror(owner_node_, std::get<MirrorRequest>(message), answers).empty()) {
        replica.OnDurable(answers);
      }
      for (auto& [owner, answer] : answers.messages) {
        OwnerOutput next;
        owner_->OnMirrorReply(to, std::get<MirrorReply>(answer), now_, next);
        Deliver(std::move(next));
      }
    }
  }

  const NodeId owner_node_{"a"};
  const absl::Time now_ = absl::UnixEpoch();
  std::map<NodeId, ReplicaCore> replicas_;
  std::unique_ptr<OwnerCore> owner_;
  Ticket ticket_ = 0;
  uint64_t acknowledged_ = 0;
};

// The argument is the number of events of 400 B in a block.
void OwnerWithTwoReplicas(benchmark::State& state) {
  std::vector<Event> events(static_cast<size_t>(state.range(0)));
  for (Event& event : events) event.payload = std::string(400, 'x');
  Trio trio;
  uint64_t sequence = 0;
  for (auto _ : state) {
    state.PauseTiming();
    Block block = *EncodeBlock({ProducerId("p"), 0, sequence}, events, Codec::kNone);
    sequence += events.size();
    state.ResumeTiming();
    trio.Append(std::move(block));
  }
  if (trio.acknowledged() == 0) state.SkipWithError("nothing was acknowledged");
  state.SetItemsProcessed(static_cast<int64_t>(sequence));
}
BENCHMARK(OwnerWithTwoReplicas)->Arg(1)->Arg(100)->Arg(600);

}  // namespace
}  // namespace forebay
