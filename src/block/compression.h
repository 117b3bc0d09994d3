// The codecs of block bodies.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "forebay/options.h"

namespace forebay {

// Appends the compressed form of raw. False, with `out` as it was: not smaller than raw.
bool Compress(Codec codec, std::string_view raw, std::string& out);

// raw_bytes is what must come out; no more memory than that is used. DATA_LOSS otherwise.
absl::StatusOr<std::string> Decompress(Codec codec, std::string_view body, size_t raw_bytes);

}  // namespace forebay
