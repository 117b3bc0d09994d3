// A cluster of real node processes on this machine, some of which can be broken. For the drill and
// the bench.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/remote_cluster.h"
#include "forebay/options.h"
#include "testbed/child_process.h"
#include "testbed/cluster_levels.h"
#include "testbed/cut_proxy.h"
#include "testbed/local_clock.h"
#include "testbed/local_disk.h"
#include "testbed/local_network.h"
#include "testbed/local_ports.h"

namespace forebay {

enum class Fault {
  kNone,
  kKill,    // SIGKILL; healed by starting the processes again
  kFreeze,  // SIGSTOP; healed by SIGCONT
  kCut,     // nothing passes between the zone and the others; healed by letting it pass
};

// What passes between a zone and the others.
enum class Cut { kNone, kBoth, kOutgoing, kIncoming };

struct LocalSink {
  SinkId name;
  std::string url;
};

struct LocalClusterOptions {
  std::string directory = {};  // an empty folder; holds data, configurations and logs
  int zones = 3;
  int nodes_per_zone = 1;
  int spares_per_zone = 0;  // nodes that can Join
  bool etcd = false;        // else SQLite
  bool tls = false;
  bool cuttable = false;
  bool networks = false;  // what is cuttable has a LocalNetwork, which is allowed; else a CutProxy
  bool scrub_often = false;  // all that is stored, every second or so
  bool disks = false;        // each node has a LocalDisk; this thread is allowed to
  bool clocks = false;       // each node has a LocalClock, which is allowed
  StreamOptions stream = {};
  std::vector<LocalSink> sinks = {};
};

// Confined to one thread, as its child processes are.
class LocalCluster {
 public:
  // Starts everything and waits until all nodes see each other and every partition has an owner.
  // UNAVAILABLE says what did not start, and where its log is.
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Start(LocalClusterOptions options);
  ~LocalCluster();

  // "host:port" of every node, also of spares.
  std::vector<std::string> addresses() const;
  std::vector<ZoneId> zones() const;
  bool has_etcd() const { return options_.etcd; }
  std::vector<pid_t> node_pids() const;
  // "etcd-a", "etcd-b", ...; none with SQLite.
  std::vector<std::string> etcd_names() const;
  // "a1", "b1", ...: those that take part.
  std::vector<std::string> node_names() const;
  std::vector<std::string> spare_names() const;
  const ZoneId& zone_of(const std::string& name) const;
  // Data folders of the nodes.
  std::vector<std::string> data_directories() const;
  // Of every node; all zero: it does not run.
  std::vector<NodeLevels> levels() const;
  RemoteCluster& remote() { return *remote_; }
  // What a client shows; nothing without TLS.
  const TlsOptions& client_tls() const { return client_tls_; }

  // Breaks a zone: its nodes and its etcd member.
  absl::Status Break(const ZoneId& zone, Fault fault);
  // Heals what Break broke.
  absl::Status Heal();

  // One process, named as its log file is: "a1", "etcd-a". Those that were stopped here are missed
  // by nobody until they are started.
  void Kill(const std::string& name);
  void Freeze(const std::string& name);
  void Thaw(const std::string& name);
  void AskToStop(const std::string& name);
  // Until it is started again nobody minds when it ends.
  void MayEnd(const std::string& name) { Find(name).may_end = true; }
  bool Ended(const std::string& name);
  absl::Status Start(const std::string& name);
  // A spare takes part from now on, with an empty folder.
  absl::Status Join(const std::string& spare);
  // Stops a node for good: its folder is emptied, and it is a spare.
  absl::Status Retire(const std::string& node);
  // The network between a zone and the others. Without networks etcd members reach each other
  // whatever is cut, but that one whose zone is cut off both ways stands still.
  absl::Status SetCut(const ZoneId& zone, Cut cut);
  // With disks. These nodes and whatever they had not synced are gone, all at the same time.
  absl::Status CutPower(const std::vector<std::string>& nodes);
  absl::Status RestorePower(const std::vector<std::string>& nodes);
  absl::Status FillDisk(const std::string& node);
  // A node that has ended meanwhile is started again, as a service manager would.
  absl::Status MakeRoom(const std::string& node);
  // With clocks. How far a node's is off, now and after it was started anew.
  absl::Status SetClockOff(const std::string& node, absl::Duration by);

  // UNAVAILABLE: a process ended that should run.
  absl::Status CheckRunning();
  // Asks the nodes to stop, in order, and waits. Those that do not end in time are killed.
  void Stop();

 private:
  struct Process {
    std::string name;
    ZoneId zone;
    std::string host;
    bool is_node = false;
    uint16_t port = 0;       // of clients
    uint16_t peer_port = 0;  // etcd only
    std::vector<std::string> command;
    std::unique_ptr<LocalDisk> disk;
    std::unique_ptr<ChildProcess> child;
    TlsOptions tls = {};
    bool is_spare = false;
    bool may_end = false;  // it was stopped here, or its disk is full

    std::string address() const;
  };

  explicit LocalCluster(LocalClusterOptions options) : options_(std::move(options)) {}

  absl::Status StartAll();
  absl::Status PlanEtcd();
  absl::Status PlanNodes();
  absl::Status MakeCertificates();
  absl::Status MakeCuttable();
  std::string HostOf(const ZoneId& zone) const;
  // "host:port" at which `from` reaches `to`: a route of the proxy, if there is one and their zones
  // differ.
  absl::StatusOr<std::string> AddressOf(const Process& from, const Process& to);
  absl::StatusOr<std::string> NodeConfigText(const Process& node);
  absl::StatusOr<std::string> MetadataOf(const Process& node);
  absl::Status MakeDisks();
  LocalClock ClockOf(const Process& node) const;
  absl::Status StartProcess(Process& process);
  void End(Process& process) const;
  absl::Status WaitUntilReady();
  Process& Find(const std::string& name);
  const Process& Find(const std::string& name) const;

  const LocalClusterOptions options_;
  LocalPorts ports_;
  std::unique_ptr<LocalNetwork> network_;
  std::vector<Process> processes_;  // etcd members, then nodes
  std::unique_ptr<RunningCutProxy> proxy_;
  struct Route {
    std::string name;
    ZoneId from;
    ZoneId to;
  };
  std::vector<Route> routes_;
  TlsOptions client_tls_;
  std::unique_ptr<RemoteCluster> remote_;
  ZoneId broken_;
  Fault fault_ = Fault::kNone;
};

// Every node answers and is heard of, and every partition of the stream has an owner that answers.
bool AllUp(const ClusterStatus& status, const StreamOptions& stream);
// Every copy that the stream asks for is there, of as many as there are nodes. Under load a replica
// may be a block behind at any moment, and this is then false for that moment.
bool HasAllCopies(const PartitionStatus& partition, const StreamOptions& stream, size_t nodes);
// All up, with all copies.
bool FullyReplicated(const ClusterStatus& status, const StreamOptions& stream);

}  // namespace forebay
