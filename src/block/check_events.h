// Whether bytes are a forebay.v1.EventBatch that everyone can read. Inside block only.
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "block/content_digest.h"

namespace forebay {

// INVALID_ARGUMENT, saying what is wrong, unless these are exactly `count` events within
// EventLimits. What is OK here, DecodeEvents and every protobuf library read, as the same events.
// Unknown fields are passed over. Allocates nothing for each event. Adds them to the digest.
absl::Status CheckEvents(std::string_view batch, size_t count, ContentDigest& digest);

}  // namespace forebay
