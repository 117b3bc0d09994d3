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
#include "forebay/options.h"
#include "node/child_process.h"
#include "node/local_ports.h"
#include "rpc/remote_cluster.h"

namespace forebay {

enum class Fault {
  kNone,
  kKill,    // SIGKILL; healed by starting the processes again
  kFreeze,  // SIGSTOP; healed by SIGCONT
  kCut,     // nothing passes between the zone and the others; healed by letting it pass
};

struct LocalSink {
  SinkId name;
  std::string url;
};

struct LocalClusterOptions {
  std::string directory;  // an empty folder; holds data, configurations and logs
  int zones = 3;
  int nodes_per_zone = 1;
  bool etcd = false;  // else SQLite
  bool cuttable = false;
  StreamOptions stream;
  std::vector<LocalSink> sinks;
};

// Confined to one thread, as its child processes are.
class LocalCluster {
 public:
  // Starts everything and waits until all nodes see each other and every partition has an owner.
  // UNAVAILABLE says what did not start, and where its log is.
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Start(LocalClusterOptions options);
  ~LocalCluster();

  // "host:port" of every node.
  std::vector<std::string> addresses() const;
  std::vector<ZoneId> zones() const;
  std::vector<pid_t> node_pids() const;
  // Data folders of the nodes.
  std::vector<std::string> data_directories() const;
  RemoteCluster& remote() { return *remote_; }

  // Breaks a zone: its nodes and its etcd member.
  absl::Status Break(const ZoneId& zone, Fault fault);
  // Heals what Break broke.
  absl::Status Heal();
  // UNAVAILABLE: a process ended that should run.
  absl::Status CheckRunning();
  // Asks the nodes to stop, in order, and waits. Those that do not end in time are killed.
  void Stop();

 private:
  struct Process {
    std::string name;
    ZoneId zone;
    bool is_node = false;
    uint16_t port = 0;       // of clients
    uint16_t peer_port = 0;  // etcd only
    std::vector<std::string> command;
    std::unique_ptr<ChildProcess> child;
  };

  explicit LocalCluster(LocalClusterOptions options) : options_(std::move(options)) {}

  absl::Status StartAll();
  absl::Status PlanEtcd();
  absl::Status PlanNodes();
  absl::Status StartProxy();
  // The port at which `from` reaches `to`: a route of the proxy if their zones differ.
  absl::StatusOr<uint16_t> PortTo(const Process& from, const Process& to);
  absl::StatusOr<std::string> NodeConfigText(const Process& node);
  absl::StatusOr<std::string> MetadataOf(const Process& node);
  absl::Status StartProcess(Process& process);
  absl::Status WaitUntilReady();
  absl::StatusOr<std::string> AskProxy(const std::string& line);
  absl::Status SetCut(const ZoneId& zone, const char* verb);

  const LocalClusterOptions options_;
  LocalPorts ports_;
  std::vector<Process> processes_;  // etcd members, then nodes
  std::unique_ptr<ChildProcess> proxy_;
  struct Route {
    std::string name;
    ZoneId from;
    ZoneId to;
  };
  std::vector<Route> routes_;
  std::unique_ptr<RemoteCluster> remote_;
  ZoneId broken_;
  Fault fault_ = Fault::kNone;
};

// Every partition has an owner that answers, and every copy that the stream asks for is there.
bool FullyReplicated(const ClusterStatus& status, const StreamOptions& stream);

}  // namespace forebay
