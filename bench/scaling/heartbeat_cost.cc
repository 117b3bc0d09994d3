#include "scaling/heartbeat_cost.h"

#include <unistd.h>

#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peer/grpc_transport.h"
#include "replication/liveness.h"
#include "runtime/pause.h"
#include "runtime/real_clock.h"
#include "runtime/thread_executor.h"
#include "server/rpc_server.h"
#include "testbed/process_usage.h"

namespace forebay::scaling {
namespace {

constexpr absl::Duration kSettle = absl::Seconds(4);
constexpr absl::Duration kMeasured = absl::Seconds(10);

GrpcTransportOptions Options(size_t node, PeerLane lane) {
  GrpcTransportOptions options;
  options.self = NodeId(absl::StrCat("n", node));
  options.lane = lane;
  return options;
}

class Node {
 public:
  explicit Node(size_t number)
      : messages_(Options(number, PeerLane::kMessages)),
        heartbeats_(Options(number, PeerLane::kHeartbeats)),
        loop_("heartbeats"),
        monitor_(clock_, loop_, heartbeats_, ProcessLife(number + 1), LivenessOptions()) {}
  ~Node() {
    monitor_.Stop();
    loop_.Stop();
    heartbeats_.Stop();
    if (server_ != nullptr) server_->Shutdown(absl::ZeroDuration());
  }

  absl::Status Listen() {
    auto server = RpcServer::Listen(RpcServerOptions(), messages_, heartbeats_);
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    return absl::OkStatus();
  }
  void Start(const std::map<NodeId, std::string>& addresses) {
    std::map<NodeId, std::string> others = addresses;
    others.erase(heartbeats_.self());
    std::vector<NodeId> peers;
    for (const auto& [id, address] : others) peers.push_back(id);
    heartbeats_.SetPeers(std::move(others));
    monitor_.Start([](const NodeId&, ProcessLife, bool) {});
    monitor_.SetPeers(std::move(peers));
  }
  const std::string& address() const { return server_->address(); }
  uint64_t received() const { return heartbeats_.stats().received_messages; }

 private:
  RealClock clock_;
  GrpcTransport messages_;
  GrpcTransport heartbeats_;
  std::unique_ptr<RpcServer> server_;
  ThreadExecutor loop_;
  LivenessMonitor monitor_;
};

struct Reading {
  double received = 0, cpu = 0, loopback = 0;
};

// Bytes that the loopback interface has carried; whoever else uses it counts too.
double LoopbackBytes() {
  std::ifstream file("/proc/net/dev");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos || line.substr(0, colon).find("lo") == std::string::npos) {
      continue;
    }
    double bytes = 0;
    std::istringstream(line.substr(colon + 1)) >> bytes;
    return bytes;
  }
  return 0;
}

double ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  double total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

absl::StatusOr<HeartbeatCost> MeasureHeartbeats(size_t count) {
  std::vector<std::unique_ptr<Node>> nodes;
  std::map<NodeId, std::string> addresses;
  for (size_t i = 0; i < count; i++) {
    nodes.push_back(std::make_unique<Node>(i));
    if (absl::Status status = nodes.back()->Listen(); !status.ok()) return status;
    addresses[NodeId(absl::StrCat("n", i))] = nodes.back()->address();
  }
  const auto read = [&] {
    Reading reading;
    for (const auto& node : nodes) reading.received += static_cast<double>(node->received());
    reading.cpu = UsageOfThisProcess().cpu_seconds;
    reading.loopback = LoopbackBytes();
    return reading;
  };
  const double memory = ResidentBytes();
  for (const auto& node : nodes) node->Start(addresses);
  Pause(kSettle);
  const Reading before = read();
  Pause(kMeasured);
  const Reading after = read();
  const double received = after.received - before.received;
  HeartbeatCost cost;
  cost.nodes = count;
  cost.per_second = received / absl::ToDoubleSeconds(kMeasured);
  cost.cpu_us = (after.cpu - before.cpu) / received * 1e6;
  cost.bytes = (after.loopback - before.loopback) / received;
  cost.memory_per_connection =
      (ResidentBytes() - memory) / static_cast<double>(count * (count - 1));
  return cost;
}

}  // namespace forebay::scaling
