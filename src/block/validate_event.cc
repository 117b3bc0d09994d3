#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "block/block.h"
#include "block/utf8.h"

namespace forebay {
namespace {

// For messages: which event it is, if it says so.
std::string NameOf(const Event& event) {
  if (event.id.empty()) return "event without id";
  if (event.id.size() > EventLimits::kIdBytesMax) return "event";
  return absl::StrCat("event '", event.id, "'");
}

absl::Status Over(const Event& event, std::string_view what, size_t value, size_t limit) {
  return absl::InvalidArgumentError(
      absl::StrCat(NameOf(event), ": ", View(what), ": ", value, ", over the limit of ", limit));
}

// Protobuf strings are UTF-8: a reader in another language would refuse the whole block.
absl::Status CheckText(const Event& event, std::string_view what, std::string_view text,
                       size_t bytes_max) {
  if (text.size() > bytes_max) {
    return Over(event, absl::StrCat(View(what), " bytes"), text.size(), bytes_max);
  }
  if (!IsUtf8(text)) {
    return absl::InvalidArgumentError(absl::StrCat(
        NameOf(event), ": ", View(what), " is not UTF-8; put binary data into the payload"));
  }
  return absl::OkStatus();
}

absl::Status CheckAttributes(const Event& event) {
  const auto& attributes = event.attributes;
  if (attributes.size() > EventLimits::kAttributesMax) {
    return Over(event, "attributes", attributes.size(), EventLimits::kAttributesMax);
  }
  for (size_t i = 0; i < attributes.size(); i++) {
    const auto& [name, value] = attributes[i];
    FOREBAY_RETURN_IF_ERROR(
        CheckText(event, "attribute name", name, EventLimits::kAttributeBytesMax));
    FOREBAY_RETURN_IF_ERROR(
        CheckText(event, "attribute value", value, EventLimits::kAttributeBytesMax - name.size()));
    for (size_t earlier = 0; earlier < i; earlier++) {
      if (attributes[earlier].first == name) {
        return absl::InvalidArgumentError(
            absl::StrCat(NameOf(event), ": attribute '", name, "' is given twice"));
      }
    }
  }
  return absl::OkStatus();
}

// 64 bits of nanoseconds: 1677-09-21 to 2262-04-11.
bool TimeFits(absl::Time time) {
  return time == absl::InfinitePast() ||
         (time >= absl::FromUnixNanos(INT64_MIN) && time <= absl::FromUnixNanos(INT64_MAX));
}

}  // namespace

absl::Status ValidateEvent(const Event& event) {
  FOREBAY_RETURN_IF_ERROR(CheckText(event, "id", event.id, EventLimits::kIdBytesMax));
  FOREBAY_RETURN_IF_ERROR(CheckText(event, "key", event.key, EventLimits::kKeyBytesMax));
  FOREBAY_RETURN_IF_ERROR(CheckText(event, "type", event.type, EventLimits::kTypeBytesMax));
  if (event.payload.size() > EventLimits::kPayloadBytesMax) {
    return Over(event, "payload bytes", event.payload.size(), EventLimits::kPayloadBytesMax);
  }
  if (!TimeFits(event.time)) {
    return absl::InvalidArgumentError(
        absl::StrCat(NameOf(event), ": time must be between the years 1678 and 2262"));
  }
  return CheckAttributes(event);
}

}  // namespace forebay
