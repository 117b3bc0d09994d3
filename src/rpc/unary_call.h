// UnaryCall: one call with one answer, that may be answered from any thread. Inside rpc only.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "rpc/status_wire.h"

namespace forebay {

// Lives until gRPC is done with it and nobody shares it any more. The first end counts: an answer,
// or the caller's cancellation.
template <typename Response>
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  static std::shared_ptr<UnaryCall> Make(Response* response) {
    const auto call = std::make_shared<UnaryCall>(response);
    call->itself_ = call;
    return call;
  }
  explicit UnaryCall(Response* response) : response_(response) {}

  void End(const absl::Status& status) { End(ToGrpc(status)); }
  void End(const grpc::Status& status) {
    if (!ended_.exchange(true)) this->Finish(status);
  }
  // `fill` writes the response, unless the call has ended already.
  template <typename Fill>
  void Answer(Fill fill) {
    if (ended_.exchange(true)) return;
    fill(*response_);
    this->Finish(grpc::Status::OK);
  }

 private:
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override { itself_.reset(); }

  Response* const response_;  // gRPC's, until OnDone
  std::atomic<bool> ended_{false};
  std::shared_ptr<UnaryCall> itself_;  // until OnDone: gRPC holds only a pointer
};

}  // namespace forebay
