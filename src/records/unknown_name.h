// What is said of a stream or partition that does not exist.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "forebay/ids.h"
#include "forebay/options.h"

namespace forebay {

// NOT_FOUND, saying what to do.
absl::Status NoSuchStream(const StreamId& stream);
absl::Status NoSuchPartition(const StreamOptions& stream, uint32_t partition);

}  // namespace forebay
