// Statuses and outcomes on the wire. Inside rpc only: it brings gRPC and generated code.
#pragma once

#include <grpcpp/support/status.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "forebay/errors.h"
#include "forebay/event.h"
#include "forebay/v1/ingest.pb.h"

namespace forebay {

// The same code and message; a RetryAfter becomes google.rpc.RetryInfo. `failure`, when given,
// goes into the details as well.
grpc::Status ToGrpc(const absl::Status& status, const v1::AppendFailure* failure = nullptr);
// And back.
absl::Status FromGrpc(const grpc::Status& status);
// The AppendFailure in the details, if there is one.
absl::StatusOr<v1::AppendFailure> FailureIn(const grpc::Status& status);

v1::AppendOutcome ToWire(Outcome outcome);

// A block's result, but for the request number.
void ToWire(const AppendResult& result, v1::BlockResult& wire);
AppendResult FromWire(const v1::BlockResult& wire, const StreamId& stream);
// The result of the event at `index` of its block.
void ToWire(const AppendResult& result, uint64_t index, v1::EventResult& wire);

void ToWire(const Event& event, v1::Event& wire);
// Takes the strings out of `wire`. Sets neither id nor time when they are not given.
Event FromWire(v1::Event& wire);

}  // namespace forebay
