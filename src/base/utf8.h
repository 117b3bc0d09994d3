// What is text.
#pragma once

#include <string>
#include <string_view>

namespace forebay {

// Well-formed UTF-8 (RFC 3629). NUL is well-formed.
bool IsUtf8(std::string_view text);

// The text with U+FFFD for each byte that makes it something else.
std::string ToUtf8(std::string_view text);

}  // namespace forebay
