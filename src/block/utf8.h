// What is text.
#pragma once

#include <string_view>

namespace forebay {

// Well-formed UTF-8 (RFC 3629). NUL is well-formed.
bool IsUtf8(std::string_view text);

}  // namespace forebay
