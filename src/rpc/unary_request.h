// UnaryRequest: one call to a node, with a time limit.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>

#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "rpc/calls_in_flight.h"
#include "wire/status_wire.h"

namespace forebay {

// That long from now, as gRPC takes it.
inline gpr_timespec DeadlineIn(absl::Duration limit) {
  if (limit == absl::InfiniteDuration()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  return gpr_time_from_millis(absl::ToInt64Milliseconds(limit), GPR_TIMESPAN);
}

// Made with Make; lives until gRPC is done with it.
template <typename Request, typename Response>
class UnaryRequest final : public grpc::ClientUnaryReactor,
                           public std::enable_shared_from_this<UnaryRequest<Request, Response>> {
 public:
  // Runs once, on a thread of gRPC; must not block.
  using Done = absl::AnyInvocable<void(absl::Status, Response&)>;

  static std::shared_ptr<UnaryRequest> Make(const std::shared_ptr<CallsInFlight>& in_flight,
                                            Request request) {
    return CallsInFlight::Track(in_flight, new UnaryRequest(std::move(request)));
  }

  // call: [&](context, request, response, reactor) { stub.async()->Method(...); }
  template <typename Call>
  void Begin(absl::Duration limit, Call call, Done done) {
    itself_ = this->shared_from_this();
    done_ = std::move(done);
    context_.set_deadline(DeadlineIn(limit));
    call(&context_, &request_, &response_, static_cast<grpc::ClientUnaryReactor*>(this));
    this->StartCall();
  }
  // Cancels; `done` still runs.
  void End() { context_.TryCancel(); }

 private:
  explicit UnaryRequest(Request request) : request_(std::move(request)) {}

  void OnDone(const grpc::Status& status) override {
    done_(FromGrpc(status), response_);
    done_ = nullptr;
    itself_.reset();
  }

  Request request_;
  Response response_;
  grpc::ClientContext context_;
  Done done_;
  std::shared_ptr<UnaryRequest> itself_;  // until OnDone: gRPC holds only a pointer
};

}  // namespace forebay
