// What must hold of any bytes at all that arrive as a message.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "block/block.h"
#include "rpc/admin_wire.h"
#include "rpc/ingest_wire.h"
#include "rpc/message_wire.h"
#include "rpc/status_wire.h"

namespace forebay {

// Takes the input for every kind of message. True when one of them was understood.
inline bool FuzzWire(std::string_view input) {
  const auto parse = [&](auto& wire) {
    return wire.ParseFromArray(input.data(), static_cast<int>(input.size()));
  };
  bool understood = false;
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
  return understood;
}

}  // namespace forebay
