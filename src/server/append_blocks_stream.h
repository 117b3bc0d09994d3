// The node's side of Ingest.AppendBlocks.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "forebay/errors.h"
#include "forebay/v1/ingest.pb.h"
#include "rpc/server_stream.h"
#include "server/service_context.h"

namespace forebay {

class AppendBlocksStream final
    : public ServerStream<v1::AppendBlocksRequest, v1::AppendBlocksResponse> {
 public:
  AppendBlocksStream(ServiceContext context, Caller caller)
      : context_(context), caller_(std::move(caller)) {}

  // To be called before Begin.
  void ListenForStop();

 protected:
  bool OnRequest(v1::AppendBlocksRequest& request, grpc::Status& status) override;
  bool OnRequestsDone() override;
  bool Next(v1::AppendBlocksResponse& response) override;
  bool MayRead() override;
  void OnEnd() override;

 private:
  void Take(v1::BlockAppend& append);
  void TakeUnheardOf(uint64_t request, size_t bytes, const BackendHolder::Held& backend,
                     const PartitionId& partition);
  // Answers as not stored, and wakes.
  void Refuse(uint64_t request, size_t bytes, const PartitionId& partition, absl::Status status);
  // To be followed by a wake-up.
  void Answer(uint64_t request, size_t bytes, const AppendResult& result);
  // Once for all results of one turn of the node.
  void WakeSoon(const RpcBackend& backend);

  const ServiceContext context_;
  const Caller caller_;
  uint64_t stop_id_ = 0;
  bool greeted_ = false;

  Mutex results_mutex_;
  std::deque<v1::BlockResult> results_ ABSL_GUARDED_BY(results_mutex_);
  size_t open_count_ ABSL_GUARDED_BY(results_mutex_) = 0;  // taken in, not answered
  size_t open_bytes_ ABSL_GUARDED_BY(results_mutex_) = 0;
  bool wakes_soon_ ABSL_GUARDED_BY(results_mutex_) = false;
  bool requests_done_ ABSL_GUARDED_BY(results_mutex_) = false;
};

}  // namespace forebay
