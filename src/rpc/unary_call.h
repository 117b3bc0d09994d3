// UnaryCall: one call with one answer, that may be answered from any thread.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "rpc/raw_message.h"
#include "wire/status_wire.h"

namespace forebay {

// The response goes out as bytes that we make, as the request comes in as bytes that we parse.
// Lives until gRPC is done with it and nobody shares it any more. The first end counts: an answer,
// or the caller's cancellation.
template <typename Response>
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  static std::shared_ptr<UnaryCall> Make(grpc::ByteBuffer* response) {
    const auto call = std::make_shared<UnaryCall>(response);
    call->itself_ = call;
    return call;
  }
  explicit UnaryCall(grpc::ByteBuffer* response) : response_(response) {}

  // OK: with an empty response.
  void End(const absl::Status& status) {
    if (status.ok()) return Answer([](Response&) {});
    End(ToGrpc(status));
  }
  void End(const grpc::Status& status) {
    if (!ended_.exchange(true)) this->Finish(status);
  }
  // `fill` writes the response, unless the call has ended already.
  template <typename Fill>
  void Answer(Fill fill) {
    if (ended_.exchange(true)) return;
    Response response;
    fill(response);
    *response_ = SerializeRaw(response);
    this->Finish(grpc::Status::OK);
  }

 private:
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override { itself_.reset(); }

  grpc::ByteBuffer* const response_;  // gRPC's, until OnDone
  std::atomic<bool> ended_{false};
  std::shared_ptr<UnaryCall> itself_;  // until OnDone: gRPC holds only a pointer
};

// The body of a raw unary method: `run(request, call)` with the request parsed, or the call ends.
template <typename Request, typename Response, typename Run>
grpc::ServerUnaryReactor* RunUnary(const grpc::ByteBuffer* in, grpc::ByteBuffer* out, Run run) {
  const auto call = UnaryCall<Response>::Make(out);
  absl::StatusOr<std::unique_ptr<Request>> request = ParseRaw<Request>(*in);
  if (request.ok()) {
    run(*std::move(request), call);
  } else {
    call->End(request.status());
  }
  return call.get();
}

}  // namespace forebay
