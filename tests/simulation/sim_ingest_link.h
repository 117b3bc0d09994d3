// How a simulated client reaches the nodes: one connection to each, which breaks now and then and
// takes what is under way with it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "producer/ingest_link.h"
#include "runtime/random.h"
#include "simulation/invariants.h"
#include "simulation/sim_network.h"
#include "simulation/sim_node.h"
#include "support/sim_executor.h"

namespace forebay {

struct IngestCounters {
  uint64_t blocks = 0, repeated = 0, broken = 0, take_overs = 0, not_stored = 0, unknown = 0;
};

// Confined to the client's executor; must outlive the simulation's last step. The link's quality is
// that of the network between `self` and each node; a lost message breaks the connection.
class SimIngestLink final : public IngestLink {
 public:
  SimIngestLink(SimWorldParts parts, Executor& executor, Random random, NodeId self,
                std::vector<SimNode*> nodes);

  void Describe(const StreamId& stream, RoutesDone done) override;
  void SendBlock(const NodeId& node, const PartitionId& partition, Block block,
                 AppendDone done) override;
  void AskToTakeOver(const NodeId& node, const PartitionId& partition, Epoch epoch,
                     Done done) override;

  const IngestCounters& counters() const { return counters_; }

 private:
  struct Connection {
    uint64_t number = 0;  // rises when it breaks
    uint64_t life = 0;    // of the process at the other end
    absl::Time last_arrival = absl::InfinitePast();
    bool watched = false;
    uint64_t next_call = 0;
    std::map<uint64_t, AppendDone> calls;  // not answered
  };
  using Serve = std::function<void(SimNode&)>;

  SimNode* Find(const NodeId& node) const;
  void TryDescribe(StreamId stream, std::shared_ptr<RoutesDone> done, int tries);
  void Break(const NodeId& node);
  // Every now and then while calls wait: is the process at the other end still the same?
  void Watch(const NodeId& node);
  void SendOnce(const NodeId& node, const PartitionId& partition, const Block& block,
                uint64_t number, uint64_t call);
  // Runs at the node's loop, in order; false if it never will.
  bool Reach(const NodeId& node, bool in_order, Serve serve);
  // Runs here; false if it never will.
  bool Return(const NodeId& node, Task task);

  const SimWorldParts parts_;
  Executor& executor_;
  Random random_;
  const NodeId self_;
  const std::vector<SimNode*> nodes_;
  IngestCounters counters_;
  std::map<NodeId, Connection> connections_;
};

}  // namespace forebay
