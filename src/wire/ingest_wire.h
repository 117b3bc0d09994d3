// Appends, events and routes as proto/forebay/v1/ingest.proto.
#pragma once

#include <cstdint>

#include "forebay/errors.h"
#include "forebay/event.h"
#include "forebay/v1/ingest.pb.h"
#include "node_api/rpc_backend.h"

namespace forebay {

v1::AppendOutcome ToWire(Outcome outcome);

// A block's result, but for the request number.
void ToWire(const AppendResult& result, v1::BlockResult& wire);
AppendResult FromWire(const v1::BlockResult& wire, const StreamId& stream);
// The result of the event at `index` of its block.
void ToWire(const AppendResult& result, uint64_t index, v1::EventResult& wire);

void ToWire(const Event& event, v1::Event& wire);
// Takes the strings out of `wire`. Sets neither id nor time when they are not given.
Event FromWire(v1::Event& wire);

// FAILED_PRECONDITION if the caller speaks another version than we do; 0 is any.
absl::Status CheckProtocolVersion(uint32_t callers);

void ToWire(const StreamDescription& description, v1::DescribeResponse& wire);
StreamDescription FromWire(const v1::DescribeResponse& wire);

}  // namespace forebay
