#include "server/ingest_service.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "rpc/unary_call.h"
#include "server/append_blocks_stream.h"
#include "server/tail_stream.h"
#include "wire/ingest_wire.h"
#include "wire/protocol_version.h"

namespace forebay {
namespace {

// What is left of the caller's time, at most `limit`.
absl::Duration TimeLeft(const grpc::CallbackServerContext& context, absl::Duration limit) {
  const gpr_timespec deadline = context.raw_deadline();
  const gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
  return std::min(limit, absl::Milliseconds(gpr_time_to_millis(left)));
}

}  // namespace

IngestService::IngestService(ServiceContext context, AppendContext append,
                             absl::Duration relay_limit)
    : context_(context), append_(append), relay_limit_(relay_limit) {}

grpc::ServerUnaryReactor* IngestService::Append(grpc::CallbackServerContext* context,
                                                const grpc::ByteBuffer* request,
                                                grpc::ByteBuffer* response) {
  return RunUnary<v1::AppendRequest, v1::AppendResponse>(
      request, response, [&](std::unique_ptr<v1::AppendRequest> parsed, const auto& call) {
        Run(*context, std::move(parsed), call);
      });
}

grpc::ServerUnaryReactor* IngestService::Describe(grpc::CallbackServerContext* context,
                                                  const grpc::ByteBuffer* request,
                                                  grpc::ByteBuffer* response) {
  return RunUnary<v1::DescribeRequest, v1::DescribeResponse>(
      request, response,
      [&](const auto& parsed, const auto& call) { Run(*context, *parsed, call); });
}

grpc::ServerUnaryReactor* IngestService::TakeOver(grpc::CallbackServerContext* context,
                                                  const grpc::ByteBuffer* request,
                                                  grpc::ByteBuffer* response) {
  return RunUnary<v1::TakeOverRequest, v1::TakeOverResponse>(
      request, response,
      [&](const auto& parsed, const auto& call) { Run(*context, *parsed, call); });
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* IngestService::Tail(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  v1::TailRequest parsed;
  absl::Status allowed = ParseRaw(*request, parsed);
  if (allowed.ok()) {
    allowed = context_.access.Check(*context, Role::kRead, StreamId(parsed.stream()));
  }
  const auto tail = std::make_shared<TailStream>(context_, std::move(parsed));
  tail->Begin(std::move(allowed));
  return tail.get();
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

void IngestService::Run(grpc::CallbackServerContext& context,
                        std::unique_ptr<v1::AppendRequest> request,
                        const std::shared_ptr<UnaryCall<v1::AppendResponse>>& call) {
  const auto backend = context_.backend.Get();
  absl::Status status = context_.access.Check(context, Role::kAppend, StreamId(request->stream()));
  if (status.ok()) status = backend.status();
  if (!status.ok()) return call->End(status);
  PendingAppend append{std::move(request), TimeLeft(context, relay_limit_), call};
  context_.worker.Post(
      [context = append_, backend = *backend, append = std::move(append)]() mutable {
        RunAppend(context, std::move(backend), std::move(append));
      });
}

void IngestService::Run(grpc::CallbackServerContext& context, const v1::DescribeRequest& request,
                        const std::shared_ptr<UnaryCall<v1::DescribeResponse>>& call) {
  const StreamId stream(request.stream());
  const auto backend = context_.backend.Get();
  const absl::StatusOr<Caller> caller = context_.access.Recognize(context);
  absl::Status status = caller.status();
  if (status.ok()) status = caller->CheckMaySee(stream);
  if (status.ok()) status = backend.status();
  if (status.ok()) status = CheckProtocolVersion(request.protocol_version());
  if (!status.ok()) return call->End(status);
  forebay::Describe(**backend, stream, [call](absl::StatusOr<StreamDescription> description) {
    if (!description.ok()) return call->End(description.status());
    call->Answer([&](v1::DescribeResponse& out) { ToWire(*description, out); });
  });
}

void IngestService::Run(grpc::CallbackServerContext& context, const v1::TakeOverRequest& request,
                        const std::shared_ptr<UnaryCall<v1::TakeOverResponse>>& call) {
  const auto backend = context_.backend.Get();
  const PartitionId partition{StreamId(request.stream()), request.partition()};
  const Epoch seen(request.seen_epoch());
  absl::Status refused = context_.access.Check(context, Role::kAppend, partition.stream);
  if (refused.ok()) refused = backend.status();
  if (!refused.ok()) return call->End(refused);
  FindPartition(**backend, partition,
                [call, backend = *backend, partition, seen](const absl::Status& found) {
                  if (!found.ok()) return call->End(found);
                  backend->take_over(partition, seen,
                                     [call](const absl::Status& status) { call->End(status); });
                });
}

}  // namespace forebay
