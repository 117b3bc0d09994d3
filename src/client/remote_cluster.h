// RemoteCluster: looks at running nodes, tails and moves partitions. For the command line;
// blocking.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "forebay/event.h"
#include "forebay/options.h"
#include "node_api/rpc_backend.h"
#include "replication/core/cluster_status.h"

namespace forebay {

// A cluster as some nodes see it.
struct ClusterStatus {
  std::vector<NodeStatus> nodes;
  // Of each partition, the owner's view if the owner answered (owned_here is then true), else that
  // of the node with the highest chain version.
  std::vector<PartitionStatus> partitions;
  std::vector<SinkState> sinks;
  std::map<NodeId, OwnerStages> stages;  // of those that answered
  // Nodes that did not answer, and why.
  std::vector<std::pair<NodeId, absl::Status>> silent;
};

struct TailedEvent {
  Offset offset;
  Event event;
};
// Where a tail begins.
struct TailStart {
  std::optional<Offset> offset;  // else:
  bool at_end = false;           // after what is committed now, or at the oldest event that is kept
};

struct RemoteNodes {
  std::vector<std::string> addresses;  // "host:port" of some nodes; the others are found
  TlsOptions tls;
  std::string token_file;  // a bearer token to show
};

// Thread-safe.
class RemoteCluster {
 public:
  // Every call fails if the files of `tls` are not right.
  explicit RemoteCluster(RemoteNodes nodes);
  explicit RemoteCluster(std::vector<std::string> addresses);
  ~RemoteCluster();

  // Asks every node. UNAVAILABLE when none answers.
  absl::StatusOr<ClusterStatus> Status(absl::Duration limit);
  // The node `to` (empty: the first that answers) takes the partition over if its owner is dead.
  absl::Status TakeOver(const PartitionId& partition, const NodeId& to, absl::Duration limit);
  // The owner hands over to `to` (empty: the best replica).
  absl::Status Move(const PartitionId& partition, const NodeId& to, absl::Duration limit);
  absl::Status DrainNode(const NodeId& node, absl::Duration limit);
  absl::Status SetMaintenance(const MaintenanceRecord& record, absl::Duration limit);
  // What every sink and tail passes over from now on.
  absl::StatusOr<SetAsideBlock> SetAside(const PartitionId& partition, Offset offset,
                                         absl::Duration limit);
  absl::Status CreateStream(const StreamOptions& options, absl::Duration limit);

  // How many partitions a stream has. NOT_FOUND.
  absl::StatusOr<uint32_t> PartitionCount(const StreamId& stream, absl::Duration limit);
  // Committed events in offset order, on the calling thread, until `each` returns false, or the
  // last committed one unless `follow`. Finds the owner again when it changes; gives up when there
  // has been none for `limit`.
  absl::Status Tail(const PartitionId& partition, TailStart start, bool follow,
                    absl::Duration limit,
                    const std::function<bool(absl::Span<const TailedEvent>)>& each);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace forebay
