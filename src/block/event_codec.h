// Events on the wire: forebay.v1.EventBatch of proto/forebay/v1/event.proto, byte for byte what
// protobuf writes, without its per-message objects.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "forebay/event.h"

namespace forebay {

// Appends one `events` element: tag, length, message.
void AppendEncoding(const Event& event, std::string& out);

// The elements of an EventBatch, at most count_max. Unknown fields are skipped. DATA_LOSS when the
// bytes are not such a message.
absl::StatusOr<std::vector<Event>> DecodeEvents(std::string_view batch, size_t count_max);

}  // namespace forebay
