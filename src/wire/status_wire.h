// Statuses on the wire. Brings gRPC and generated code.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "forebay/v1/ingest.pb.h"

namespace forebay {

// The same code and message, cut if it is very long. A RetryAfter becomes google.rpc.RetryInfo, as
// does a default wait where the code says that to send again helps. `failure`, when given, goes
// into the details as well.
grpc::Status ToGrpc(const absl::Status& status, const v1::AppendFailure* failure = nullptr);
// And back.
absl::Status FromGrpc(const grpc::Status& status);
// The AppendFailure in the details, if there is one.
absl::StatusOr<v1::AppendFailure> FailureIn(const grpc::Status& status);

}  // namespace forebay
