// What is JSON (RFC 8259), to the byte: payloads are carried as they are, so nothing here is
// lenient, and nothing recurses, however deep a text is nested.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace forebay {

// Of a text that is exactly one JSON value in UTF-8, white space around it allowed: what some
// readers of JSON do not take, or not give back.
struct JsonTraits {
  size_t depth = 0;                 // of arrays and objects within each other
  size_t digits_max = 0;            // of the longest number, written out without an exponent
  bool has_line_break = false;      // between its parts; inside strings they are escaped
  bool has_lone_surrogate = false;  // an escape that stands for no character
  bool has_escaped_nul = false;
  bool has_space_around = false;
};

// INVALID_ARGUMENT says what is wrong and where, in bytes from the start. A byte order mark and a
// NUL are no part of JSON.
absl::StatusOr<JsonTraits> CheckJson(std::string_view text);

// A JSON object's members, in order, names decoded and values as they stand. Ends with the first
// error of `each`. INVALID_ARGUMENT: not JSON, or no object.
absl::Status ForEachJsonMember(
    std::string_view object,
    const std::function<absl::Status(const std::string& name, std::string_view value)>& each);

// Decodes a string, given with its quotes. INVALID_ARGUMENT: the value is something else, or holds
// a lone surrogate.
absl::StatusOr<std::string> ReadJsonString(std::string_view value);

// JSON whose strings hold no character raw that a terminal would take for a command (DEL, U+0080 to
// U+009F; lower ones JSON escapes anyway). It means the same.
std::string JsonForTerminal(std::string_view json);

// Appends the text as a JSON string, with quotes, and what ends a line for some readers or commands
// a terminal is escaped. U+FFFD stands for bytes that are not UTF-8.
void AppendJsonString(std::string_view text, std::string& out);

}  // namespace forebay
