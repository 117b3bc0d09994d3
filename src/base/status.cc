#include "base/status.h"

#include "absl/strings/escaping.h"

namespace forebay {
namespace {

constexpr size_t kShownBytesMax = 80;  // names that are right have at most 64

bool ContinuesACharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace

std::string Shown(std::string_view name) {
  if (name.size() <= kShownBytesMax) return absl::Utf8SafeCEscape(View(name));
  size_t end = kShownBytesMax;
  while (end > 0 && ContinuesACharacter(name[end])) end--;
  return absl::StrCat(absl::Utf8SafeCEscape(View(name.substr(0, end))), "... (", name.size(),
                      " bytes)");
}

}  // namespace forebay
