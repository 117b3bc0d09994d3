// IngestLink: how a producer reaches the nodes, be it over gRPC, inside a process or in the
// simulation.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "block/block.h"
#include "forebay/errors.h"
#include "forebay/ids.h"

namespace forebay {

// Where to send the blocks of a partition.
struct Route {
  PartitionId partition;
  Epoch epoch;  // 0: it never had an owner
  NodeId owner;
  ZoneId owner_zone;
  std::vector<NodeId> replicas;  // of the open segment, the owner among them
};

struct StreamRoutes {
  StreamId stream;
  Codec codec = Codec::kZstd;
  std::vector<Route> routes;  // by partition index
};

// Confined to the caller's executor: every call is made there, and every callback arrives there.
// Each callback runs once, or never when the node does not answer: the caller keeps the time.
class IngestLink {
 public:
  using RoutesDone = absl::AnyInvocable<void(absl::StatusOr<StreamRoutes>)>;
  using AppendDone = absl::AnyInvocable<void(AppendResult)>;
  using Done = absl::AnyInvocable<void(absl::Status)>;

  virtual ~IngestLink() = default;

  // Asks any node that answers.
  virtual void Describe(const StreamId& stream, RoutesDone done) = 0;
  // Hands a block to a node. Blocks to one node keep their order while the connection lives.
  // Outcome kUnknown when the connection broke before the answer.
  virtual void SendBlock(const NodeId& node, const PartitionId& partition, Block block,
                         AppendDone done) = 0;
  // Tells a node that the owner of `epoch` cannot be reached from here; it probes it once and takes
  // over if there is no answer.
  virtual void AskToTakeOver(const NodeId& node, const PartitionId& partition, Epoch epoch,
                             Done done) = 0;
};

}  // namespace forebay
