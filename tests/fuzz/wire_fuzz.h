// What must hold of any bytes at all that arrive as a message.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "block/block.h"
#include "wire/admin_wire.h"
#include "wire/ingest_wire.h"
#include "wire/message_wire.h"
#include "wire/status_wire.h"

namespace forebay {

// What nodes tell clients, and clients tell nodes, about nodes. True when it was understood.
inline bool FuzzAdminWire(std::string_view input) {
  const auto parse = [&](auto& wire) {
    return wire.ParseFromArray(input.data(), static_cast<int>(input.size()));
  };
  bool understood = false;
  v1::StatusResponse status;
  if (parse(status)) {
    for (const v1::NodeState& wire : status.nodes()) {
      v1::NodeState again;
      ToWire(FromWire(wire), again);
      FOREBAY_CHECK(again.node() == wire.node(), "a node keeps its name");
      understood = true;
    }
    for (const v1::PartitionState& wire : status.partitions()) {
      v1::PartitionState again;
      ToWire(FromWire(wire), again);
      FOREBAY_CHECK(again.segments_size() == wire.segments_size(), "a chain keeps its length");
    }
    for (const v1::SinkState& wire : status.sinks()) {
      v1::SinkState again;
      ToWire(FromWire(wire), again);
      FOREBAY_CHECK(again.cursor() == wire.cursor(), "a sink keeps its cursor");
    }
  }
  v1::SetMaintenanceRequest maintenance;
  if (parse(maintenance)) {
    const absl::StatusOr<MaintenanceRecord> record = FromWire(maintenance);
    if (record.ok()) {
      v1::SetMaintenanceRequest again;
      ToWire(*record, again);
      FOREBAY_CHECK(FromWire(again).ok(), "an order that was understood can be given");
    }
    understood |= record.ok();
  }
  return understood;
}

// Takes the input for every kind of message. True when one of them was understood.
inline bool FuzzWire(std::string_view input) {
  const auto parse = [&](auto& wire) {
    return wire.ParseFromArray(input.data(), static_cast<int>(input.size()));
  };
  bool understood = FuzzAdminWire(input);
  v1::PeerEnvelope envelope;
  if (parse(envelope)) {
    for (v1::PeerMessage& wire : *envelope.mutable_messages()) {
      const absl::StatusOr<Message> message = FromWire(wire);
      if (!message.ok()) continue;
      understood = true;
      v1::PeerMessage again;
      ToWire(*message, again);
      FOREBAY_CHECK(FromWire(again).ok(), "what was understood can be said");
    }
  }
  v1::AppendRequest append;
  if (parse(append)) {
    for (v1::Event& wire : *append.mutable_events()) {
      const Event event = FromWire(wire);
      const BlockStamp stamp{ProducerId("p"), 0, 0};
      const absl::StatusOr<Block> block = EncodeBlock(stamp, {&event, 1}, Codec::kNone);
      if (block.ok()) FOREBAY_CHECK(block->Decode().ok(), "what is taken can be given");
      understood |= block.ok();
    }
  }
  v1::AppendBlocksRequest blocks;
  if (parse(blocks)) {
    for (v1::BlockAppend& wire : *blocks.mutable_blocks()) {
      understood |= Block::Parse(std::move(*wire.mutable_block())).ok();
    }
  }
  v1::CreateStreamRequest create;
  if (parse(create)) {
    const absl::StatusOr<StreamOptions> stream = FromWire(create);
    understood |= stream.ok() && stream->Validate().ok();
  }
  v1::DescribeResponse description;
  if (parse(description)) {
    const StreamDescription stream = FromWire(description);
    FOREBAY_CHECK(stream.routes.routes.size() == static_cast<size_t>(description.partitions_size()),
                  "a route for each partition");
  }
  v1::AppendBlocksResponse results;
  if (parse(results)) {
    for (const v1::BlockResult& wire : results.results()) {
      const AppendResult result = FromWire(wire, StreamId("web"));
      FOREBAY_CHECK((result.outcome == Outcome::kAcknowledged) == result.status.ok(),
                    "OK exactly when acknowledged");
    }
  }
  const std::string details(input);
  FOREBAY_CHECK(!FromGrpc({grpc::StatusCode::ABORTED, "x", details}).ok(), "stays an error");
  (void)FailureIn({grpc::StatusCode::ABORTED, "x", details});
  return understood;
}

}  // namespace forebay
