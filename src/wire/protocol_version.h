// The version of what nodes and clients say to each other.
#pragma once

#include <cstdint>

namespace forebay {

// Rises when an older build would misunderstand a newer one (docs/FORMATS.md, "Wire").
inline constexpr uint32_t kProtocolVersion = 1;

}  // namespace forebay
