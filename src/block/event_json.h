// An event as one line of JSON: the form of NDJSON files, dead letters and the command line.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "forebay/event.h"

namespace forebay {

// Appends {"id","key","time","type","attributes","payload"}; empty ones are left out, except id. A
// payload that is JSON stands there as it is (without line breaks); any other one stands in
// "payload_base64". Total for events that ValidateEvent accepts.
void AppendEventJson(const Event& event, std::string& out);

// The reverse: an object with any of these members, all optional. INVALID_ARGUMENT says what is
// wrong. A JSON payload comes back as written, up to white space around it and line breaks.
absl::StatusOr<Event> ParseEventJson(std::string_view line);

// Appends the text as a JSON string, with quotes. Bytes that are not UTF-8 must not be in it.
void AppendJsonString(std::string_view text, std::string& out);

// Appends the attributes as a JSON object.
void AppendAttributesJson(const Event& event, std::string& out);

}  // namespace forebay
