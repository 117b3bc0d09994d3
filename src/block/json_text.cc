#include "block/json_text.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/utf8.h"

namespace forebay {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The digits of the number in a JSON number's exponent, at most this.
constexpr size_t kExponentMax = 100'000'000;

std::optional<uint32_t> HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

// Goes through a text once; every step says whether what it expects is there.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  size_t at() const { return at_; }
  const JsonTraits& traits() const { return traits_; }

  void SkipSpace() {
    for (; at_ < text_.size() && IsSpace(text_[at_]); at_++) {
      traits_.has_line_break |= text_[at_] == '\n' || text_[at_] == '\r';
    }
  }
  bool AtEnd() const { return at_ == text_.size(); }
  bool Take(char c) {
    if (AtEnd() || text_[at_] != c) return false;
    at_++;
    return true;
  }

  // One value and all within it.
  bool Value() {
    const size_t outer = open_.size();
    do {
      bool closed = true;
      if (!Begin(closed)) return false;
      // What a value may be followed by: ends, then a comma and the next one.
      while (closed && open_.size() > outer) {
        SkipSpace();
        if (Take(',')) {
          if (open_.back() == '}' && !Name()) return false;
          break;
        }
        if (!Take(open_.back())) return false;
        open_.pop_back();
      }
    } while (open_.size() > outer);
    return true;
  }

  // A member's name and its colon.
  bool Name() {
    SkipSpace();
    if (!String()) return false;
    SkipSpace();
    return Take(':');
  }

  bool String() {
    if (!Take('"')) return false;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (static_cast<uint8_t>(c) < 0x20) return at_--, false;
      if (c == '\\' && !Escape()) return false;
    }
    return false;
  }

 private:
  // A scalar, or the opening of an array or object with its first name. Not closed: a value must
  // follow.
  bool Begin(bool& closed) {
    SkipSpace();
    if (AtEnd()) return false;
    switch (text_[at_]) {
      case '{':
      case '[': {
        const char end = text_[at_++] == '{' ? '}' : ']';
        traits_.depth = std::max(traits_.depth, open_.size() + 1);
        SkipSpace();
        if (Take(end)) return true;
        open_.push_back(end);
        closed = false;
        return end == ']' || Name();
      }
      case '"':
        return String();
      case 't':
        return Literal("true");
      case 'f':
        return Literal("false");
      case 'n':
        return Literal("null");
      default:
        return Number();
    }
  }

  bool Literal(std::string_view literal) {
    if (text_.substr(at_, literal.size()) != literal) return false;
    at_ += literal.size();
    return true;
  }

  size_t Digits() {
    const size_t from = at_;
    while (at_ < text_.size() && IsDigit(text_[at_])) at_++;
    return at_ - from;
  }

  bool Number() {
    Take('-');
    const bool zero = Take('0');
    const size_t whole = zero ? 1 : Digits();
    if (whole == 0) return false;
    size_t fraction = 0;
    if (Take('.') && (fraction = Digits()) == 0) return false;
    size_t exponent = 0;
    if (Take('e') || Take('E')) {
      if (!Take('+')) Take('-');
      const size_t from = at_;
      if (Digits() == 0) return false;
      for (size_t i = from; i < at_; i++) {
        exponent = std::min(kExponentMax, exponent * 10 + static_cast<size_t>(text_[i] - '0'));
      }
    }
    traits_.digits_max = std::max(traits_.digits_max, whole + fraction + exponent);
    return true;
  }

  // Behind a backslash.
  bool Escape() {
    if (AtEnd()) return false;
    const char c = text_[at_++];
    if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
    const std::optional<uint32_t> unit = Hex();
    if (!unit) return false;
    if (*unit == 0) traits_.has_escaped_nul = true;
    if (*unit >= 0xDC00 && *unit < 0xE000) traits_.has_lone_surrogate = true;
    if (*unit < 0xD800 || *unit >= 0xDC00) return true;
    // A high one takes the low one that follows with it.
    const size_t before = at_;
    if (Literal("\\u")) {
      const std::optional<uint32_t> low = Hex();
      if (!low) return false;
      if (*low >= 0xDC00 && *low < 0xE000) return true;
      at_ = before;
    }
    traits_.has_lone_surrogate = true;
    return true;
  }

  std::optional<uint32_t> Hex() {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
      const std::optional<uint32_t> digit = AtEnd() ? std::nullopt : HexDigit(text_[at_]);
      if (!digit) return std::nullopt;
      value = value << 4 | *digit;
      at_++;
    }
    return value;
  }

  const std::string_view text_;
  size_t at_ = 0;
  std::string open_;  // the ends that are still to come
  JsonTraits traits_;
};

absl::Status NotJson(const Scanner& scanner) {
  return absl::InvalidArgumentError(absl::StrCat("not valid JSON, at byte ", scanner.at()));
}

absl::Status CheckUtf8(std::string_view text) {
  if (IsUtf8(text)) return absl::OkStatus();
  return absl::InvalidArgumentError("not valid JSON: not UTF-8");
}

void AppendUtf8(uint32_t character, std::string& out) {
  const auto put = [&](uint32_t bits) { out += static_cast<char>(bits); };
  if (character < 0x80) return put(character);
  if (character < 0x800) {
    put(0xC0 | character >> 6);
  } else if (character < 0x10000) {
    put(0xE0 | character >> 12);
    put(0x80 | (character >> 6 & 0x3F));
  } else {
    put(0xF0 | character >> 18);
    put(0x80 | (character >> 12 & 0x3F));
    put(0x80 | (character >> 6 & 0x3F));
  }
  put(0x80 | (character & 0x3F));
}

void AppendEscape(uint32_t character, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kHex[character >> shift & 15];
}

// The character at `at`, if a terminal takes it for a command (at most U+009F) or a reader for a
// line's end, and how many bytes it has; 0 bytes for all others.
struct Special {
  size_t bytes = 0;
  uint32_t character = 0;
};
Special SpecialAt(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : 0u;
  };
  const uint32_t first = byte(0);
  if (first < 0x20 || first == 0x7F) return {1, first};
  if (first == 0xC2 && byte(1) >= 0x80 && byte(1) < 0xA0) return {2, byte(1)};
  const bool is_separator = first == 0xE2 && byte(1) == 0x80 && (byte(2) & 0xFE) == 0xA8;
  return is_separator ? Special{3, 0x2000 | (byte(2) & 0x3F)} : Special{};
}

uint32_t HexAt(std::string_view text, size_t at) {
  uint32_t value = 0;
  for (size_t i = at; i < at + 4; i++) value = value << 4 | HexDigit(text[i]).value_or(0);
  return value;
}

// A string that the scanner took, without its quotes; no lone surrogate is in it.
std::string Decoded(std::string_view body) {
  std::string out;
  out.reserve(body.size());
  for (size_t at = 0; at < body.size(); at++) {
    if (body[at] != '\\') {
      out += body[at];
      continue;
    }
    const char c = body[++at];
    if (c != 'u') {
      constexpr std::string_view kNames = "bfnrt", kMeans = "\b\f\n\r\t";
      const size_t which = kNames.find(c);
      out += which == std::string_view::npos ? c : kMeans[which];
      continue;
    }
    uint32_t character = HexAt(body, at + 1);
    at += 4;
    if (character >= 0xD800 && character < 0xDC00) {
      character = 0x10000 + ((character - 0xD800) << 10) + (HexAt(body, at + 3) - 0xDC00);
      at += 6;
    }
    AppendUtf8(character, out);
  }
  return out;
}

}  // namespace

absl::StatusOr<JsonTraits> CheckJson(std::string_view text) {
  FOREBAY_RETURN_IF_ERROR(CheckUtf8(text));
  Scanner scanner(text);
  if (!scanner.Value()) return NotJson(scanner);
  scanner.SkipSpace();
  if (!scanner.AtEnd()) return NotJson(scanner);
  JsonTraits traits = scanner.traits();
  traits.has_space_around = IsSpace(text.front()) || IsSpace(text.back());
  return traits;
}

absl::Status ForEachJsonMember(
    std::string_view object,
    const std::function<absl::Status(const std::string& name, std::string_view value)>& each) {
  const absl::StatusOr<JsonTraits> traits = CheckJson(object);
  if (!traits.ok()) return traits.status();
  Scanner scanner(object);
  scanner.SkipSpace();
  if (!scanner.Take('{')) return absl::InvalidArgumentError("not a JSON object");
  scanner.SkipSpace();
  if (scanner.Take('}')) return absl::OkStatus();
  do {
    scanner.SkipSpace();
    const size_t name_at = scanner.at();
    scanner.String();
    const absl::StatusOr<std::string> name =
        ReadJsonString(object.substr(name_at, scanner.at() - name_at));
    if (!name.ok()) return name.status();
    scanner.SkipSpace();
    scanner.Take(':');
    scanner.SkipSpace();
    const size_t value_at = scanner.at();
    scanner.Value();
    FOREBAY_RETURN_IF_ERROR(each(*name, object.substr(value_at, scanner.at() - value_at)));
    scanner.SkipSpace();
  } while (scanner.Take(','));
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadJsonString(std::string_view value) {
  FOREBAY_RETURN_IF_ERROR(CheckUtf8(value));
  Scanner scanner(value);
  if (!scanner.String() || !scanner.AtEnd()) return absl::InvalidArgumentError("must be a string");
  if (scanner.traits().has_lone_surrogate) {
    return absl::InvalidArgumentError("holds half a surrogate pair, which is no character");
  }
  return Decoded(value.substr(1, value.size() - 2));
}

std::string JsonForTerminal(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (size_t at = 0; at < json.size(); at++) {
    const Special special = SpecialAt(json, at);
    if (special.bytes == 0 || special.character < 0x20) {  // lower ones stand between its parts
      out += json[at];
    } else {
      AppendEscape(special.character, out);
      at += special.bytes - 1;
    }
  }
  return out;
}

void AppendJsonString(std::string_view text, std::string& out) {
  if (!IsUtf8(text)) return AppendJsonString(ToUtf8(text), out);
  out += '"';
  for (size_t at = 0; at < text.size(); at++) {
    const char c = text[at];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (const Special special = SpecialAt(text, at); special.bytes > 0) {
      AppendEscape(special.character, out);
      at += special.bytes - 1;
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace forebay
