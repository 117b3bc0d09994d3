// Blocks that a wrong writer might send.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/checksum.h"

namespace forebay {

// The same block with other bytes at a place, and a checksum that fits.
inline std::string Forge(std::string bytes, size_t at, std::string_view with) {
  bytes.replace(at, with.size(), with);
  const std::string_view view = bytes;
  const uint32_t crc = Crc32c(view.substr(12), Crc32c(view.substr(0, 8)));
  for (int i = 0; i < 4; i++) bytes[8 + i] = static_cast<char>(crc >> (8 * i));
  return bytes;
}

}  // namespace forebay
