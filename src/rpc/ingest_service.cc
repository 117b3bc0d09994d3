#include "rpc/ingest_service.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "rpc/append_blocks_stream.h"
#include "rpc/ingest_wire.h"
#include "rpc/tail_stream.h"
#include "rpc/unary_call.h"

namespace forebay {
namespace {

// What is left of the caller's time, at most `limit`.
absl::Duration TimeLeft(grpc::CallbackServerContext* context, absl::Duration limit) {
  const gpr_timespec deadline = context->raw_deadline();
  const gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
  return std::min(limit, absl::Milliseconds(gpr_time_to_millis(left)));
}

}  // namespace

IngestService::IngestService(ServiceContext context, AppendContext append,
                             absl::Duration relay_limit)
    : context_(context), append_(append), relay_limit_(relay_limit) {}

grpc::ServerUnaryReactor* IngestService::Append(grpc::CallbackServerContext* context,
                                                const v1::AppendRequest* request,
                                                v1::AppendResponse* response) {
  const auto call = UnaryCall<v1::AppendResponse>::Make(response);
  const auto backend = context_.backend.Get();
  absl::Status status = context_.access.Check(*context, Role::kAppend, StreamId(request->stream()));
  if (status.ok()) status = backend.status();
  if (!status.ok()) {
    call->End(status);
    return call.get();
  }
  const absl::Duration limit = TimeLeft(context, relay_limit_);
  // gRPC keeps the request until the call is done, but a cancelled call may be done before its turn
  // comes.
  context_.worker.Post([append = append_, backend = *backend, copy = *request, limit,
                        call]() mutable { RunAppend(append, *backend, copy, limit, call); });
  return call.get();
}

grpc::ServerWriteReactor<v1::TailResponse>* IngestService::Tail(
    grpc::CallbackServerContext* context, const v1::TailRequest* request) {
  const auto tail = std::make_shared<TailStream>(context_, *request);
  tail->Begin(context_.access.Check(*context, Role::kRead, StreamId(request->stream())));
  return tail.get();
}

grpc::ServerUnaryReactor* IngestService::Describe(grpc::CallbackServerContext* context,
                                                  const v1::DescribeRequest* request,
                                                  v1::DescribeResponse* response) {
  const auto call = UnaryCall<v1::DescribeResponse>::Make(response);
  const auto backend = context_.backend.Get();
  const absl::StatusOr<Caller> caller = context_.access.Recognize(*context);
  absl::Status status = caller.status();
  if (status.ok()) status = caller->CheckMaySee(StreamId(request->stream()));
  if (status.ok()) status = backend.status();
  if (status.ok()) status = CheckProtocolVersion(request->protocol_version());
  if (!status.ok()) {
    call->End(status);
    return call.get();
  }
  forebay::Describe(**backend, StreamId(request->stream()),
                    [call](absl::StatusOr<StreamDescription> description) {
                      if (!description.ok()) return call->End(description.status());
                      call->Answer([&](v1::DescribeResponse& out) { ToWire(*description, out); });
                    });
  return call.get();
}

grpc::ServerBidiReactor<v1::AppendBlocksRequest, v1::AppendBlocksResponse>*
IngestService::AppendBlocks(grpc::CallbackServerContext* context) {
  absl::StatusOr<Caller> caller = context_.access.Recognize(*context);
  if (!caller.ok())
    return Refuse<v1::AppendBlocksRequest, v1::AppendBlocksResponse>(caller.status());
  const auto stream = std::make_shared<AppendBlocksStream>(context_, *std::move(caller));
  stream->ListenForStop();
  stream->Begin();
  stream->EndUnlessHeardWithin(context_.hello_limit, context_.worker);
  return stream.get();
}

grpc::ServerUnaryReactor* IngestService::TakeOver(grpc::CallbackServerContext* context,
                                                  const v1::TakeOverRequest* request,
                                                  v1::TakeOverResponse* response) {
  const auto call = UnaryCall<v1::TakeOverResponse>::Make(response);
  const auto backend = context_.backend.Get();
  const PartitionId partition{StreamId(request->stream()), request->partition()};
  absl::Status refused = context_.access.Check(*context, Role::kAppend, partition.stream);
  if (refused.ok()) refused = backend.status();
  if (!refused.ok()) {
    call->End(refused);
    return call.get();
  }
  const std::optional<StreamOptions> stream = (*backend)->stream(partition.stream);
  if (!stream.has_value()) {
    call->End(NoSuchStream(partition.stream));
  } else if (partition.index >= stream->partitions) {
    call->End(NoSuchPartition(*stream, partition.index));
  } else {
    (*backend)->take_over(partition, Epoch(request->seen_epoch()),
                          [call](const absl::Status& status) { call->End(status); });
  }
  return call.get();
}

}  // namespace forebay
