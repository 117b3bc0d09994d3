// The Ingest service: translates and posts.
#pragma once

#include "absl/time/time.h"
#include "forebay/v1/ingest.grpc.pb.h"
#include "server/append_call.h"
#include "server/service_context.h"

namespace forebay {

// Requests come as bytes (raw_message.h), but those of AppendBlocks.
using RawIngest = v1::Ingest::WithRawCallbackMethod_Append<v1::Ingest::WithRawCallbackMethod_Tail<
    v1::Ingest::WithRawCallbackMethod_Describe<v1::Ingest::WithRawCallbackMethod_TakeOver<
        v1::Ingest::WithCallbackMethod_AppendBlocks<v1::Ingest::Service>>>>>;

class IngestService final : public RawIngest {
 public:
  IngestService(ServiceContext context, AppendContext append, absl::Duration relay_limit);

  grpc::ServerUnaryReactor* Append(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Tail(grpc::CallbackServerContext* context,
                                                   const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;
  grpc::ServerBidiReactor<v1::AppendBlocksRequest, v1::AppendBlocksResponse>* AppendBlocks(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* TakeOver(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;

 private:
  // The same with a request that was parsed.
  void Run(grpc::CallbackServerContext& context, std::unique_ptr<v1::AppendRequest> request,
           const std::shared_ptr<UnaryCall<v1::AppendResponse>>& call);
  void Run(grpc::CallbackServerContext& context, const v1::DescribeRequest& request,
           const std::shared_ptr<UnaryCall<v1::DescribeResponse>>& call);
  void Run(grpc::CallbackServerContext& context, const v1::TakeOverRequest& request,
           const std::shared_ptr<UnaryCall<v1::TakeOverResponse>>& call);

  const ServiceContext context_;
  const AppendContext append_;
  const absl::Duration relay_limit_;
};

}  // namespace forebay
