// What must hold of any bytes at all that someone hands us as a block.
#pragma once

#include <string>
#include <string_view>

#include "base/check.h"
#include "base/checksum.h"
#include "block/block.h"

namespace forebay {

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
