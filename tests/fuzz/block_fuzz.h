// What must hold of any bytes at all that someone hands us as a block.
#pragma once

#include <string>
#include <string_view>

#include "base/check.h"
#include "base/checksum.h"
#include "block/block.h"
#include "forebay/v1/event.pb.h"

namespace forebay {

inline void CheckThatProtobufReads(const Block& block) {
  if (block.codec() != Codec::kNone) return;
  const std::string body(block.bytes().substr(40 + block.stamp().producer.value().size()));
  v1::EventBatch batch;
  FOREBAY_CHECK(batch.ParseFromString(body), "protobuf does not read a block that was taken");
  FOREBAY_CHECK(static_cast<size_t>(batch.events_size()) == block.event_count(),
                "protobuf's count");
}

// Parses and decodes the input as it is, and once more with a checksum that fits, so that the
// decoder behind the checksum is reached too. True when that one parsed.
inline bool FuzzBlock(std::string_view input) {
  const auto take = [](std::string bytes) {
    absl::StatusOr<Block> block = Block::Parse(std::move(bytes));
    if (!block.ok()) return false;
    absl::StatusOr<std::vector<Event>> events = block->Decode();
    if (events.ok()) {
      FOREBAY_CHECK(events->size() == block->event_count(), "count of events");
      FOREBAY_CHECK(block->raw_bytes() <= EventLimits::kBlockBytesMax, "raw bytes");
    }
    if (block->Validate().ok()) {
      FOREBAY_CHECK(events.ok(), "a block that was taken cannot be decoded");
      for (const Event& event : *events) {
        FOREBAY_CHECK(ValidateEvent(event).ok(), "an event that was taken is over a limit");
      }
      CheckThatProtobufReads(*block);
    }
    return true;
  };
  take(std::string(input));
  std::string fitting(input);
  if (fitting.size() < 12) return false;
  fitting.replace(0, 4, "FBK1");
  const std::string_view view = fitting;
  const uint32_t crc = Crc32c(view.substr(12), Crc32c(view.substr(0, 8)));
  for (int i = 0; i < 4; i++) fitting[8 + i] = static_cast<char>(crc >> (8 * i));
  return take(std::move(fitting));
}

}  // namespace forebay
