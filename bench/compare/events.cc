#include "compare/events.h"

#include <array>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace forebay::compare {
namespace {

constexpr std::string_view kStart = R"({"id":")";
constexpr size_t kIdDigits = 16;
constexpr size_t kEvents = 4096;
// From here on there is room for the long form.
constexpr size_t kLongBytes = 850;

constexpr std::array kTypes = {"page_view", "click",  "add_to_cart", "purchase",
                               "search",    "scroll", "signup",      "video_play"};
constexpr std::array kTenants = {"acme-eu", "acme-us", "globex", "initech"};
constexpr std::array kLocales = {"en-US", "de-DE", "fr-FR", "ja-JP"};
constexpr std::array kSystems = {"Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7",
                                 "X11; Linux x86_64", "Linux; Android 13; Pixel 7"};
constexpr std::array kCategories = {"shoes", "books", "garden", "toys", "music"};
constexpr std::array kSources = {"google", "mail", "bing", "partner"};
constexpr std::array kCampaigns = {"spring", "bfcm", "brand", "retarget"};
constexpr std::array kTitles = {"Running shoes", "Paperback", "Garden chair", "Toy train", "Vinyl"};
constexpr std::array kVariants = {"control", "a", "b"};
constexpr std::array kCurrencies = {"USD", "EUR", "JPY", "BRL"};
constexpr std::array kTags = {"sale", "new",     "eu",      "mobile", "web",
                              "vip",  "ab_test", "loyalty", "spring", "email"};

class Writer {
 public:
  explicit Writer(size_t bytes) : bytes_(bytes) {}

  std::string Next() {
    std::string out(kStart);
    out.append(kIdDigits, '0');
    bytes_ < kLongBytes ? AddShort(out) : AddLong(out);
    Fill(out);
    return out;
  }

 private:
  template <size_t n>
  const char* One(const std::array<const char*, n>& of) {
    return of[random_() % n];
  }
  unsigned Below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
  std::string Hex(int digits) {
    std::string out;
    for (int i = 0; i < digits; ++i) out += "0123456789abcdef"[Below(16)];
    return out;
  }

  void AddShort(std::string& out) {
    absl::StrAppendFormat(
        &out, R"(","ts":17960%08u,"type":"%s","user":"u_%06u","session":"%s","page":"/p/%s/%u")",
        Below(100'000'000), One(kTypes), Below(200'000), Hex(8), One(kCategories), Below(50'000));
  }

  void AddLong(std::string& out) {
    absl::StrAppendFormat(
        &out, R"(","timestamp":"2026-11-%02uT%02u:%02u:%02u.%03uZ","type":"%s","tenant":"%s")",
        Below(28) + 1, Below(24), Below(60), Below(60), Below(1000), One(kTypes), One(kTenants));
    absl::StrAppendFormat(&out, R"(,"anonymousId":"%s-%s-%s","userId":"u_%06u")", Hex(8), Hex(4),
                          Hex(12), Below(200'000));
    absl::StrAppendFormat(
        &out,
        R"(,"context":{"ip":"%u.%u.%u.%u","locale":"%s","userAgent":"Mozilla/5.0 (%s) )"
        R"(AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%u.0.0.0 Safari/537.36")"
        R"(,"screen":{"width":%u,"height":%u})",
        Below(223) + 1, Below(256), Below(256), Below(256), One(kLocales), One(kSystems),
        110 + Below(20), 1280 + 64 * Below(20), 720 + 36 * Below(20));
    absl::StrAppendFormat(
        &out,
        R"(,"page":{"url":"https://shop.example.com/%s/%u?utm_source=%s&utm_campaign=%s")"
        R"(,"referrer":"https://www.%s.com/","title":"%s - Example Shop"},"library":{"name":"analytics.js","version":"4.%u.%u"}})",
        One(kCategories), Below(50'000), One(kSources), One(kCampaigns), One(kSources),
        One(kTitles), Below(20), Below(10));
    absl::StrAppendFormat(
        &out,
        R"(,"properties":{"sku":"SKU-%s","price":%u.%02u,"currency":"%s","quantity":%u)"
        R"(,"category":"%s","experiment":"exp_%u","variant":"%s","loggedIn":true,"consent":"analytics"})",
        Hex(8), Below(300), Below(100), One(kCurrencies), Below(5) + 1, One(kCategories), Below(40),
        One(kVariants));
  }

  // A list of words makes up the rest of the size.
  void Fill(std::string& out) {
    constexpr std::string_view kEnd = "\"}";
    out += R"(,"tags":")";
    while (out.size() + kEnd.size() < bytes_) {
      absl::StrAppend(&out, One(kTags), "_", Below(1000), " ");
    }
    out.resize(bytes_ - kEnd.size());
    out += kEnd;
  }

  const size_t bytes_;
  std::mt19937 random_{42};  // the same events in every run
};

}  // namespace

EventPool::EventPool(size_t bytes) {
  Writer writer(bytes);
  for (size_t i = 0; i < kEvents; ++i) events_.push_back(writer.Next());
}

void EventPool::Write(EventId id, std::string& out) const {
  // Publishers go through the pool from different places on, in the same order.
  out = events_[(id.number + id.publisher * 977) % kEvents];
  uint64_t value = id.value();
  for (size_t i = kStart.size() + kIdDigits; i > kStart.size(); --i) {
    out[i - 1] = "0123456789abcdef"[value & 15];
    value >>= 4;
  }
}

std::optional<EventId> IdOf(std::string_view event) {
  if (event.substr(0, kStart.size()) != kStart) return std::nullopt;
  const std::string_view digits = event.substr(kStart.size(), kIdDigits);
  if (digits.size() != kIdDigits) return std::nullopt;
  uint64_t value = 0;
  for (const char digit : digits) {
    const bool letter = digit >= 'a' && digit <= 'f';
    if (!letter && (digit < '0' || digit > '9')) return std::nullopt;
    value = value << 4 | static_cast<uint64_t>(letter ? digit - 'a' + 10 : digit - '0');
  }
  return EventId::Of(value);
}

}  // namespace forebay::compare
