// CRC-32C (Castagnoli), the checksum of blocks and batches (RFC 3720, appendix B.4).
#pragma once

#include <cstdint>
#include <string_view>

namespace forebay {

// CRC-32C of bytes, or of earlier bytes followed by these when their CRC is given.
uint32_t Crc32c(std::string_view bytes, uint32_t crc_before = 0);

}  // namespace forebay
