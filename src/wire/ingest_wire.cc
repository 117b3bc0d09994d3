#include "wire/ingest_wire.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "wire/protocol_version.h"

namespace forebay {

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
    if (result.offset_known) wire.set_offset(result.offset.value());
    wire.set_offset_unknown(!result.offset_known);
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
    result.offset_known = !wire.offset_unknown();
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
    if (result.offset_known) wire.set_offset(result.offset.value() + index);
    wire.set_offset_unknown(!result.offset_known);
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

absl::Status CheckProtocolVersion(uint32_t callers) {
  if (callers == 0 || callers == kProtocolVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("this node speaks ingest protocol version ", kProtocolVersion,
                   ", the caller version ", callers, ": use a client of the nodes' release"));
}

void ToWire(const StreamDescription& description, v1::DescribeResponse& wire) {
  wire.set_protocol_version(kProtocolVersion);
  wire.set_stream(description.routes.stream.value());
  wire.set_codec(static_cast<v1::BlockCodec>(description.routes.codec));
  for (const Route& route : description.routes.routes) {
    v1::PartitionRoute& out = *wire.add_partitions();
    out.set_partition(route.partition.index);
    out.set_epoch(route.epoch.value());
    out.set_owner(route.owner.value());
    for (const NodeId& replica : route.replicas) out.add_replicas(replica.value());
  }
  for (const NodeStatus& node : description.nodes) {
    v1::NodeAddress& out = *wire.add_nodes();
    out.set_node(node.record.id.value());
    out.set_zone(node.record.zone.value());
    out.set_address(node.record.address);
    out.set_alive(node.alive);
  }
}

StreamDescription FromWire(const v1::DescribeResponse& wire) {
  StreamDescription description;
  description.routes.stream = StreamId(wire.stream());
  description.routes.codec = static_cast<Codec>(wire.codec());
  for (const v1::NodeAddress& in : wire.nodes()) {
    NodeStatus node;
    node.record.id = NodeId(in.node());
    node.record.zone = ZoneId(in.zone());
    node.record.address = in.address();
    node.alive = in.alive();
    description.nodes.push_back(std::move(node));
  }
  for (const v1::PartitionRoute& in : wire.partitions()) {
    Route route;
    route.partition = {description.routes.stream, in.partition()};
    route.epoch = Epoch(in.epoch());
    route.owner = NodeId(in.owner());
    for (const NodeStatus& node : description.nodes) {
      if (node.record.id == route.owner) route.owner_zone = node.record.zone;
    }
    for (const std::string& replica : in.replicas()) route.replicas.emplace_back(replica);
    description.routes.routes.push_back(std::move(route));
  }
  return description;
}

}  // namespace forebay
