// UnaryRequest: one call to a node, with a time limit. Inside rpc only.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>

#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "rpc/calls_in_flight.h"
#include "rpc/status_wire.h"

namespace forebay {

// That long from now, as gRPC takes it.
inline gpr_timespec DeadlineIn(absl::Duration limit) {
  if (limit == absl::InfiniteDuration()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  return gpr_time_from_millis(absl::ToInt64Milliseconds(limit), GPR_TIMESPAN);
}

// Made with std::make_shared; lives until gRPC is done with it.
template <typename Request, typename Response>
class UnaryRequest final : public grpc::ClientUnaryReactor,
                           public std::enable_shared_from_this<UnaryRequest<Request, Response>> {
 public:
  // Runs once, on a thread of gRPC; must not block.
  using Done = absl::AnyInvocable<void(absl::Status, Response&)>;

  UnaryRequest(Request request, std::shared_ptr<CallsInFlight> in_flight)
      : request_(std::move(request)), in_flight_(std::move(in_flight)) {}

  // call: [&](context, request, response, reactor) { stub.async()->Method(...); }
  template <typename Call>
  void Begin(absl::Duration limit, Call call, Done done) {
    itself_ = this->shared_from_this();
    done_ = std::move(done);
    context_.set_deadline(DeadlineIn(limit));
    id_ = in_flight_->Add([weak = this->weak_from_this()] {
      if (const auto request = weak.lock()) request->context_.TryCancel();
    });
    call(&context_, &request_, &response_, static_cast<grpc::ClientUnaryReactor*>(this));
    this->StartCall();
  }

 private:
  void OnDone(const grpc::Status& status) override {
    done_(FromGrpc(status), response_);
    done_ = nullptr;
    const auto itself = std::move(itself_);
    in_flight_->Remove(id_);
  }

  Request request_;
  Response response_;
  grpc::ClientContext context_;
  Done done_;
  const std::shared_ptr<CallsInFlight> in_flight_;  // shared with whoever may cancel
  uint64_t id_ = 0;
  std::shared_ptr<UnaryRequest> itself_;  // until OnDone: gRPC holds only a pointer
};

}  // namespace forebay
