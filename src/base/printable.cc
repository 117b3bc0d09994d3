#include "base/printable.h"

#include <cstddef>
#include <cstdint>

#include "base/utf8.h"

namespace forebay {
namespace {

void AppendEscaped(char c, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  if (c == '\n') {
    out += "\\n";
  } else if (c == '\r') {
    out += "\\r";
  } else if (c == '\t') {
    out += "\\t";
  } else {
    const auto byte = static_cast<uint8_t>(c);
    out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
  }
}

constexpr size_t kShownBytesMax = 80;  // names that are right have at most 64

bool ContinuesACharacter(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }

}  // namespace

std::string Printable(std::string_view text) {
  const bool is_utf8 = IsUtf8(text);
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); i++) {
    const auto byte = static_cast<uint8_t>(text[i]);
    // In UTF-8, C2 begins U+0080 to U+00BF.
    const bool is_c1 = is_utf8 && byte == 0xC2 && static_cast<uint8_t>(text[i + 1]) < 0xA0;
    if (byte < 0x20 || byte == 0x7F || (byte >= 0x80 && !is_utf8)) {
      AppendEscaped(text[i], out);
    } else if (is_c1) {
      AppendEscaped(text[++i], out);
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string Shown(std::string_view name) {
  if (name.size() <= kShownBytesMax) return Printable(name);
  size_t end = kShownBytesMax;
  while (end > 0 && ContinuesACharacter(name[end])) end--;
  return Printable(name.substr(0, end)) + "... (" + std::to_string(name.size()) + " bytes)";
}

}  // namespace forebay
