// The codecs of block bodies.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "forebay/options.h"

namespace forebay {

// The compressed form of raw, or nothing when that is not smaller. It lives until the next call on
// this thread: what is kept of it is copied once, into a block of just its size.
std::optional<std::string_view> Compress(Codec codec, std::string_view raw);

// Sets out. raw_bytes is what must come out; no more memory than that is used. DATA_LOSS otherwise.
absl::Status Decompress(Codec codec, std::string_view body, size_t raw_bytes, std::string& out);

// What a writer must keep to beyond what Decompress takes: one frame of zstd, because not every
// library reads on behind the first; no larger than any compressor makes it; not legacy. Reads only
// the frame's headers. INVALID_ARGUMENT otherwise.
absl::Status CheckFrame(Codec codec, std::string_view body, size_t raw_bytes);

}  // namespace forebay
