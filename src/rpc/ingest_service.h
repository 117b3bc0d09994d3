// The Ingest service: translates and posts. Inside rpc only.
#pragma once

#include "absl/time/time.h"
#include "forebay/v1/ingest.grpc.pb.h"
#include "rpc/append_call.h"
#include "rpc/service_context.h"

namespace forebay {

class IngestService final : public v1::Ingest::CallbackService {
 public:
  IngestService(ServiceContext context, AppendContext append, absl::Duration relay_limit);

  grpc::ServerUnaryReactor* Append(grpc::CallbackServerContext* context,
                                   const v1::AppendRequest* request,
                                   v1::AppendResponse* response) override;
  grpc::ServerWriteReactor<v1::TailResponse>* Tail(grpc::CallbackServerContext* context,
                                                   const v1::TailRequest* request) override;
  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const v1::DescribeRequest* request,
                                     v1::DescribeResponse* response) override;
  grpc::ServerBidiReactor<v1::AppendBlocksRequest, v1::AppendBlocksResponse>* AppendBlocks(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* TakeOver(grpc::CallbackServerContext* context,
                                     const v1::TakeOverRequest* request,
                                     v1::TakeOverResponse* response) override;

 private:
  const ServiceContext context_;
  const AppendContext append_;
  const absl::Duration relay_limit_;
};

}  // namespace forebay
