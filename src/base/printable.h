// Text of strangers on a terminal or in a log.
#pragma once

#include <string>
#include <string_view>

namespace forebay {

// The text without what could move a cursor, end a line or hide something: control characters
// (also DEL and U+0080 to U+009F) and bytes that are not UTF-8 become \\n, \\t, \\r or \\xNN.
std::string Printable(std::string_view text);

// A name from outside as a message may show it: printable, and cut where it is too long to be
// right, so that no caller decides how long our messages are.
std::string Shown(std::string_view name);

}  // namespace forebay
