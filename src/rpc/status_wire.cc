#include "rpc/status_wire.h"

#include <optional>
#include <utility>

#include "base/status.h"
#include "forebay/v1/status_details.pb.h"

namespace forebay {
namespace {

constexpr char kRetryInfoUrl[] = "type.googleapis.com/google.rpc.RetryInfo";
constexpr char kAppendFailureUrl[] = "type.googleapis.com/forebay.v1.AppendFailure";

void SetDuration(absl::Duration duration, google::protobuf::Duration& wire) {
  wire.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  wire.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status, const v1::AppendFailure* failure) {
  if (status.ok()) return grpc::Status::OK;
  const auto code = static_cast<grpc::StatusCode>(status.code());
  const std::string message(status.message());
  const std::optional<absl::Duration> wait = RetryAfter(status);
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
  absl::Status out(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
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

v1::AppendOutcome ToWire(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAcknowledged:
      return v1::APPEND_OUTCOME_ACKNOWLEDGED;
    case Outcome::kNotStored:
      return v1::APPEND_OUTCOME_NOT_STORED;
    case Outcome::kUnknown:
      break;
  }
  return v1::APPEND_OUTCOME_UNKNOWN;
}

void ToWire(const AppendResult& result, v1::BlockResult& wire) {
  wire.set_outcome(ToWire(result.outcome));
  wire.set_partition(result.partition.index);
  if (result.outcome == Outcome::kAcknowledged) {
    wire.set_offset(result.offset.value());
    wire.set_zones(static_cast<uint32_t>(result.zones));
    return;
  }
  wire.set_code(static_cast<uint32_t>(result.status.code()));
  wire.set_message(std::string(result.status.message()));
  if (const auto wait = RetryAfter(result.status); wait.has_value()) {
    wire.set_retry_after_ms(static_cast<uint64_t>(absl::ToInt64Milliseconds(*wait)));
  }
}

AppendResult FromWire(const v1::BlockResult& wire, const StreamId& stream) {
  AppendResult result;
  result.partition = {stream, wire.partition()};
  if (wire.outcome() == v1::APPEND_OUTCOME_ACKNOWLEDGED) {
    result.outcome = Outcome::kAcknowledged;
    result.offset = Offset(wire.offset());
    result.zones = static_cast<int>(wire.zones());
    return result;
  }
  // An outcome that this build does not know is not "not stored".
  result.outcome =
      wire.outcome() == v1::APPEND_OUTCOME_NOT_STORED ? Outcome::kNotStored : Outcome::kUnknown;
  const bool failed = wire.code() != 0;
  result.status =
      absl::Status(failed ? static_cast<absl::StatusCode>(wire.code()) : absl::StatusCode::kUnknown,
                   wire.message());
  if (wire.retry_after_ms() != 0) {
    result.status = WithRetryAfter(std::move(result.status),
                                   absl::Milliseconds(static_cast<int64_t>(wire.retry_after_ms())));
  }
  return result;
}

void ToWire(const AppendResult& result, uint64_t index, v1::EventResult& wire) {
  wire.set_outcome(ToWire(result.outcome));
  if (result.outcome == Outcome::kAcknowledged) {
    wire.set_partition(result.partition.index);
    wire.set_offset(result.offset.value() + index);
    wire.set_zones(static_cast<uint32_t>(result.zones));
    return;
  }
  wire.set_code(static_cast<uint32_t>(result.status.code()));
  wire.set_message(std::string(result.status.message()));
}

void ToWire(const Event& event, v1::Event& wire) {
  wire.set_id(event.id);
  wire.set_key(event.key);
  if (event.time != absl::InfinitePast()) wire.set_time_unix_nanos(absl::ToUnixNanos(event.time));
  wire.set_type(event.type);
  wire.set_payload(event.payload);
  for (const auto& [name, value] : event.attributes) (*wire.mutable_attributes())[name] = value;
}

Event FromWire(v1::Event& wire) {
  Event event;
  event.id = std::move(*wire.mutable_id());
  event.key = std::move(*wire.mutable_key());
  if (wire.has_time_unix_nanos()) event.time = absl::FromUnixNanos(wire.time_unix_nanos());
  event.type = std::move(*wire.mutable_type());
  event.payload = std::move(*wire.mutable_payload());
  for (auto& [name, value] : *wire.mutable_attributes()) {
    event.attributes.emplace_back(name, std::move(value));
  }
  return event;
}

}  // namespace forebay
