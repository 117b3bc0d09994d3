// NodeAssembly: a whole node, put together from the rooms. The public Buffer and the standalone
// node are thin covers of it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "buffer/appenders.h"
#include "forebay/options.h"
#include "forebay/stats.h"
#include "node_api/rpc_backend.h"
#include "peer/grpc_transport.h"
#include "replication/replicator.h"
#include "rpc/connection_gate.h"
#include "wal/disk_usage.h"
#include "wal/wal_store.h"

namespace forebay {

// Numbers for the node's metrics.
struct NodeStats {
  ProducerStats producer;  // of this process's own appends
  ProducerStats service;   // of unary appends and dead letters
  WalStats wal;
  DiskUsage disk;  // of the data directory
  ScrubStats scrub;
  OwnerStages stages;  // of blocks it took in as their owner
  GrpcTransportStats messages;
  GrpcTransportStats heartbeats;
  ConnectionStats connections;  // of this node's server
};

// Thread-safe. After Close, appends are refused, and Status and HandOverAll never call back.
class NodeAssembly {
 public:
  // As Buffer::Open. `store_failed` runs at most once, on a thread of the node: the store refuses
  // every write, and the process has to be started again (the data is safe on the peers).
  static absl::StatusOr<std::unique_ptr<NodeAssembly>> Open(
      BufferOptions options, std::function<void(const absl::Status&)> store_failed = nullptr);
  // Close(10 s) if it was not called.
  ~NodeAssembly();

  // "host:port" that peers and clients dial.
  const std::string& address() const;

  // NOT_FOUND: no such stream. Not from a callback of the node.
  absl::StatusOr<Appender*> AppenderOf(const StreamId& stream);
  // Runs a task on the thread that runs the callbacks of appends.
  void Post(Task task);
  absl::Status Flush(absl::Duration deadline);
  // Settles this process's appends, hands the partitions over, stops. DEADLINE_EXCEEDED when one of
  // the first two was not finished; it stops all the same. May take longer when a sink hangs.
  absl::Status Close(absl::Duration deadline);

  NodeStats stats() const;
  std::vector<NodeStatus> Nodes() const;
  using StatusDone = absl::AnyInvocable<void(std::vector<PartitionStatus>, std::vector<SinkState>)>;
  void Status(StatusDone done);
  // Hands over everything, and takes over nothing more, so that the node can be stopped.
  void HandOverAll(absl::AnyInvocable<void(absl::Status)> done);

 private:
  class Impl;
  explicit NodeAssembly(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace forebay
