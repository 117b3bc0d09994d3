// A whole simulated installation: zones of nodes, a metadata store, a network, a downstream, and
// clients that append. Only the nodes' outside is simulated; inside run the production classes.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "producer/producer.h"
#include "simulation/invariants.h"
#include "simulation/plan.h"
#include "simulation/protocol_watch.h"
#include "simulation/sim_ingest_link.h"
#include "simulation/sim_network.h"
#include "simulation/sim_node.h"
#include "simulation/sim_sink.h"
#include "support/sim_executor.h"

namespace forebay {

// Gets a line for everything worth telling. Null: no trace.
using TraceLine = std::function<void(const std::string&)>;

// The counter of a state of the drain: how often a sink's way through a partition entered it.
std::string DrainCounter(DrainState state);

class World {
 public:
  World(uint64_t seed, const Plan& plan, TraceLine trace);
  ~World();

  // Starts nodes and clients.
  void Start();
  // Runs with the plan's faults. False when an invariant broke.
  bool RunWithFaults();
  // Heals everything and waits until all is acknowledged, delivered and fully replicated, and
  // every partition takes events again. Breaks "liveness" when that takes more than a minute.
  bool RunUntilQuiet();

  // For single scenarios: runs for so long; false when an invariant broke.
  bool RunFor(absl::Duration time) { return RunUntil(simulation_.Now() + time); }
  // Runs until every segment has all its copies.
  bool RunUntilWhole(absl::Duration limit);
  // Null when the first partition has no owner that runs.
  SimNode* Owner(uint32_t partition = 0);
  std::vector<SimNode*> Nodes();
  // Cuts a node off from the others and from all clients, or joins it again.
  void CutOff(const NodeId& node, bool cut);
  // One direction of one link.
  void CutLink(const NodeId& from, const NodeId& to, bool cut) {
    cut ? network_.Cut(from, to) : network_.Join(from, to);
  }
  void SetAppending(bool appending);
  // The longest time that some producer went without an acknowledgement, since the last call.
  absl::Duration TakeLongestGap();

  Simulation& simulation() { return simulation_; }
  Invariants& invariants() { return *invariants_; }
  // Past all faults, as an operator would change it.
  MemoryMetadata& metadata() { return *metadata_; }
  const std::map<Fault, int>& faults_done() const { return faults_done_; }
  const FaultCoverage& coverage() const { return coverage_; }
  // What was exercised, for the report.
  std::map<std::string, uint64_t> Counters() const;

 private:
  // A client that repeats what others have sent.
  struct Stray {
    Stray(World& world, Random random, SimWorldParts parts, std::vector<SimNode*> nodes);
    SimExecutor loop;
    Random random;
    SimIngestLink link;
  };
  struct Client {
    Client(World& world, int number, Random random);
    NodeId id;
    SimExecutor loop;
    SimClock clock;
    Random random;
    std::unique_ptr<SimIngestLink> link;
    std::unique_ptr<Producer> producer;
    int producer_number = 0;        // another one after a crash
    std::set<EventNumber> waiting;  // for their outcomes
    absl::Time acknowledged_at;
    absl::Duration longest_gap;
  };

  // Building.
  SimWorldParts Parts();
  void MakeNodes();
  void MakeClients();
  void SetLinks();
  std::vector<NodeId> AllIds() const;
  void WatchNetwork();
  void LookAtChains();

  // The workload.
  void AppendLater(Client& client);
  void AppendOne(Client& client);
  void StartProducer(Client& client);
  void CrashClient(Client& client);
  void StrayLater();
  void SendStray();

  // Faults: world_faults.cc
  void ScheduleFaults();
  void Arm(const FaultEvent& event);
  void Inject(const FaultEvent& event);
  // False when it cannot be done now.
  bool InjectAnywhere(Fault fault);
  // Counts which protocol states of the nodes the fault meets. Before it does anything.
  void Hit(Fault fault, const std::vector<SimNode*>& nodes);
  void CutPower(Fault fault);
  void InjectInMetadata(Fault fault);
  void InjectInNetwork(Fault fault, SimNode& node);
  void InjectTakeOver(Fault fault);
  bool InjectRace();
  bool InjectLie();
  // Somebody needs an operator's decision about a block. It comes, some time later.
  void OnUndecodable(const PartitionId& partition, const SetAsideBlock& block);
  bool AddNode();
  // Rolling, as the fault says: this node, then those after it.
  void RestartNext(Fault fault, size_t index, Random dice);
  void Flap(const NodeId& from, const NodeId& to, int times, Random dice);
  void CutFor(const NodeId& from, const NodeId& to, absl::Duration time);
  void StartLater(SimNode& node, absl::Duration after);
  SimNode& AnyNode();
  absl::Duration Draw(absl::Duration from, absl::Duration to) { return dice_.Between(from, to); }
  void Heal();

  // world_node_faults.cc
  bool InjectInAnyNode(Fault fault);
  void DamageDisk(Fault fault, SimNode& node);
  void TroubleDisk(Fault fault, SimNode& node);
  void TroubleProcess(Fault fault, SimNode& node);
  void OnStoreFailed(SimNode& node);
  void KillLater(SimNode& node, absl::Duration after, absl::Duration down);
  void Stop(SimNode& node, absl::Duration down);
  void Evacuate(SimNode& node, absl::Duration down);
  void FinishEvacuation(SimNode& node, absl::Time limit, absl::Duration down);
  bool IsNamed(const SimNode& node) const;
  bool IsStopping(const SimNode& node) const;
  bool MayWipe() const;
  bool MayTakeCopies(Fault fault, const SimNode& node) const;

  // All is quiet: every client appends a little, and all of it has to be acknowledged.
  bool ProbeEveryPartition();
  std::string Missing() const;
  // Steps until then, or until an invariant breaks.
  bool RunUntil(absl::Time end);
  void Note(const std::string& line);

  const Plan plan_;
  const TraceLine trace_;
  Random random_;
  Simulation simulation_;
  const absl::Time start_ = simulation_.Now();
  SimExecutor server_loop_{simulation_};  // of the metadata store
  ObservedExecutor metadata_loop_;
  std::shared_ptr<MemoryMetadata> metadata_;
  std::unique_ptr<Invariants> invariants_;
  ProtocolWatch watch_;
  SimNetwork network_;
  std::unique_ptr<SimDatabase> database_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::unique_ptr<Stray> stray_;
  int producers_ = 0;  // started so far
  bool faulty_ = true;
  bool appending_ = true;
  Random dice_{0};                                  // of the fault that is injected now
  std::vector<NodeId> aim_;                         // nodes that it prefers
  absl::Time copies_taken_ = absl::InfinitePast();  // the last time
  std::map<NodeId, uint64_t> stopping_;             // the life that got SIGTERM
  std::map<Fault, int> faults_done_;
  std::set<std::pair<PartitionId, uint32_t>> undecodable_;  // an operator has heard of
  uint64_t evacuations_ = 0;                                // that were complete
  FaultCoverage coverage_;
  absl::Duration healed_in_;
};

}  // namespace forebay
