// BlockStream: blocks on their way to one node, and the answers.
#pragma once

#include <cstdint>
#include <deque>
#include <map>

#include "block/block.h"
#include "forebay/v1/ingest.pb.h"
#include "producer/ingest_link.h"
#include "rpc/client_stream.h"

namespace forebay {

// Thread-safe. Each callback runs once, on a thread of gRPC or inside Send.
class BlockStream final : public ClientStream<v1::AppendBlocksRequest, v1::AppendBlocksResponse> {
 public:
  explicit BlockStream(size_t unanswered_bytes_max);

  void Send(const PartitionId& partition, Block block, IngestLink::AppendDone done);
  // It has ended; another one has to be made.
  bool broken();

 protected:
  bool Next(v1::AppendBlocksRequest& request) override;
  bool OnResponse(v1::AppendBlocksResponse& response) override;
  void OnEnd(const grpc::Status& status) override;

 private:
  struct Pending {
    PartitionId partition;
    size_t bytes = 0;
    IngestLink::AppendDone done;
  };
  struct Queued {
    uint64_t request = 0;
    Block block;
  };

  const size_t unanswered_bytes_max_;
  bool greeted_ = false;

  Mutex pending_mutex_;
  bool broken_ ABSL_GUARDED_BY(pending_mutex_) = false;
  uint64_t last_request_ ABSL_GUARDED_BY(pending_mutex_) = 0;
  size_t unanswered_bytes_ ABSL_GUARDED_BY(pending_mutex_) = 0;
  std::deque<Queued> queue_ ABSL_GUARDED_BY(pending_mutex_);
  std::map<uint64_t, Pending> pending_ ABSL_GUARDED_BY(pending_mutex_);
};

}  // namespace forebay
