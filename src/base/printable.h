// Text of strangers on a terminal or in a log.
#pragma once

#include <string>
#include <string_view>

namespace forebay {

// The text without what could move a cursor, end a line or hide something: control characters
// (also DEL and U+0080 to U+009F) and bytes that are not UTF-8 become \\n, \\t, \\r or \\xNN.
std::string Printable(std::string_view text);

}  // namespace forebay
