// GrpcIngestLink: how a producer reaches nodes over gRPC.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "node_api/rpc_backend.h"
#include "producer/ingest_link.h"
#include "rpc/credentials.h"
#include "runtime/executor.h"

namespace forebay {

struct GrpcIngestLinkOptions {
  // "host:port" of nodes to ask first. May be empty when there is a local node.
  std::vector<std::string> seeds;
  // Dial a node's address through another one (node id -> address).
  std::map<NodeId, std::string> dial_instead;
  // The node in this process: it is asked first, and called without the network.
  std::optional<RpcBackend> local;
  // Null: plaintext. Shared by all connections of the process.
  std::shared_ptr<const Credentials> credentials;
  // For one node to answer Describe, before the next one is asked.
  absl::Duration describe_attempt = absl::Milliseconds(300);
  // For a node to answer AskToTakeOver.
  absl::Duration take_over_limit = absl::Seconds(5);
  // Bytes of blocks that one node has not answered; over it SendBlock is "not stored".
  size_t unanswered_bytes_max = 256 << 20;
};

// Confined to `home`, which must outlive it and the local node's callbacks. One AppendBlocks stream
// per node; when it breaks, all that was in flight is unknown. A node that hangs is noticed within
// about 4 s.
class GrpcIngestLink final : public IngestLink {
 public:
  GrpcIngestLink(Executor& home, GrpcIngestLinkOptions options);
  // Callbacks that have not run never will. Waits for the connections to wind down.
  ~GrpcIngestLink() override;

  void Describe(const StreamId& stream, RoutesDone done) override;
  void SendBlock(const NodeId& node, const PartitionId& partition, Block block,
                 AppendDone done) override;
  void AskToTakeOver(const NodeId& node, const PartitionId& partition, Epoch epoch,
                     Done done) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace forebay
