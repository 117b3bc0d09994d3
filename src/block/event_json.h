// An event as one line of JSON: the form of NDJSON files, dead letters and the command line.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "forebay/event.h"

namespace forebay {

// Appends {"id","key","time","type","attributes","payload"}; empty ones are left out, except id. A
// payload that is JSON, and of which no reader makes anything else, stands there as it is; any
// other one stands in "payload_base64". The same bytes come out again. Of such JSON there is none
// with line breaks, space around it, half a surrogate pair, more than kEmbeddedDepthMax levels, or
// a number of more than kEmbeddedDigitsMax digits. Total, but of texts that
// are not UTF-8 U+FFFD remains.
void AppendEventJson(const Event& event, std::string& out);

// Python's json nests to about 1,000 and reads numbers of 4,300 digits, and has the smallest limits
// of those that are in wide use.
inline constexpr size_t kEmbeddedDepthMax = 256;
inline constexpr size_t kEmbeddedDigitsMax = 1000;

// The reverse: an object with any of these members, all optional, each once, and a payload in one
// of its forms. INVALID_ARGUMENT says what is wrong. A JSON payload comes back as written, without
// the white space around it.
absl::StatusOr<Event> ParseEventJson(std::string_view line);

// Appends the attributes as a JSON object.
void AppendAttributesJson(const Event& event, std::string& out);

}  // namespace forebay
