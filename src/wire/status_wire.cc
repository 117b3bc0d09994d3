#include "wire/status_wire.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "forebay/errors.h"
#include "forebay/v1/status_details.pb.h"

namespace forebay {
namespace {

constexpr char kRetryInfoUrl[] = "type.googleapis.com/google.rpc.RetryInfo";
constexpr char kAppendFailureUrl[] = "type.googleapis.com/forebay.v1.AppendFailure";

// In answers that say "send again" and not when.
constexpr absl::Duration kRetryDefault = absl::Milliseconds(100);

std::optional<absl::Duration> RetryDelay(const absl::Status& status) {
  if (const auto wait = RetryAfter(status); wait.has_value()) return wait;
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
      return kRetryDefault;
    default:
      return std::nullopt;
  }
}

void SetDuration(absl::Duration duration, google::protobuf::Duration& wire) {
  wire.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  wire.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
}

// A status travels in headers, which callers limit to 8 KiB and which hold the message twice.
constexpr size_t kMessageBytesMax = 800;

std::string CutToFit(absl::string_view message) {
  if (message.size() <= kMessageBytesMax) return std::string(message);
  return absl::StrCat(message.substr(0, kMessageBytesMax), " ... (cut)");
}

// What gRPC says of a connection that fails, and what that means.
std::string Explained(const std::string& message) {
  if (message.find("failed to connect") == std::string::npos) return message;
  constexpr std::pair<const char*, const char*> kMeanings[] = {
      {"Connection refused",
       "nothing listens there: is the node running, and is this its address?"},
      {"certificate verify failed", "the node's certificate is not signed by our tls.ca"},
      {"wrong version number", "the node does not speak TLS, and we do: set tls on both or none"},
      {"ostname Verification",
       "the node's certificate does not name the host or node that was dialled"},
      {"Socket closed", "it closes the connection; if it has TLS, set tls here as well"},
  };
  for (const auto& [sign, meaning] : kMeanings) {
    if (message.find(sign) != std::string::npos) return absl::StrCat(message, " (", meaning, ")");
  }
  return message;
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status, const v1::AppendFailure* failure) {
  if (status.ok()) return grpc::Status::OK;
  const auto code = static_cast<grpc::StatusCode>(status.code());
  const std::string message = CutToFit(status.message());
  const std::optional<absl::Duration> wait = RetryDelay(status);
  if (!wait.has_value() && failure == nullptr) return {code, message};
  v1::StatusDetails details;
  details.set_code(static_cast<int32_t>(code));
  details.set_message(message);
  if (wait.has_value()) {
    v1::RetryInfo retry;
    SetDuration(*wait, *retry.mutable_retry_delay());
    auto& any = *details.add_details();
    any.set_type_url(kRetryInfoUrl);
    any.set_value(retry.SerializeAsString());
  }
  if (failure != nullptr) {
    auto& any = *details.add_details();
    any.set_type_url(kAppendFailureUrl);
    any.set_value(failure->SerializeAsString());
  }
  return {code, message, details.SerializeAsString()};
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status out(static_cast<absl::StatusCode>(status.error_code()),
                   Explained(status.error_message()));
  v1::StatusDetails details;
  if (!details.ParseFromString(status.error_details())) return out;
  for (const auto& any : details.details()) {
    v1::RetryInfo retry;
    if (any.type_url() != kRetryInfoUrl || !retry.ParseFromString(any.value())) continue;
    return WithRetryAfter(std::move(out), absl::Seconds(retry.retry_delay().seconds()) +
                                              absl::Nanoseconds(retry.retry_delay().nanos()));
  }
  return out;
}

absl::StatusOr<v1::AppendFailure> FailureIn(const grpc::Status& status) {
  v1::StatusDetails details;
  v1::AppendFailure failure;
  if (details.ParseFromString(status.error_details())) {
    for (const auto& any : details.details()) {
      if (any.type_url() == kAppendFailureUrl && failure.ParseFromString(any.value())) {
        return failure;
      }
    }
  }
  return absl::NotFoundError("the status has no AppendFailure in its details");
}

}  // namespace forebay
