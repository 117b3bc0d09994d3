#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/printable.h"
#include "base/status.h"
#include "base/utf8.h"
#include "block/block.h"
#include "block/event_view.h"

namespace forebay {
namespace {

// For messages: which event it is, if it says so.
std::string NameOf(std::string_view id) {
  if (id.empty()) return "event without id";
  if (id.size() > EventLimits::kIdBytesMax) return "event";
  return absl::StrCat("event '", Printable(id), "'");
}

absl::Status Over(std::string_view id, std::string_view what, size_t value, size_t limit) {
  return absl::InvalidArgumentError(
      absl::StrCat(NameOf(id), ": ", View(what), ": ", value, ", over the limit of ", limit));
}

// Protobuf strings are UTF-8: a reader in another language would refuse the whole block.
absl::Status CheckText(std::string_view id, std::string_view what, std::string_view text,
                       size_t bytes_max) {
  if (text.size() > bytes_max) {
    return Over(id, absl::StrCat(View(what), " bytes"), text.size(), bytes_max);
  }
  if (!IsUtf8(text)) {
    return absl::InvalidArgumentError(absl::StrCat(
        NameOf(id), ": ", View(what), " is not UTF-8; put binary data into the payload"));
  }
  return absl::OkStatus();
}

// Of events and of views.
template <typename Attributes>
absl::Status CheckAttributes(std::string_view id, const Attributes& attributes) {
  if (attributes.size() > EventLimits::kAttributesMax) {
    return Over(id, "attributes", attributes.size(), EventLimits::kAttributesMax);
  }
  for (size_t i = 0; i < attributes.size(); i++) {
    const auto& [name, value] = attributes[i];
    FOREBAY_RETURN_IF_ERROR(CheckText(id, "attribute name", name, EventLimits::kAttributeBytesMax));
    FOREBAY_RETURN_IF_ERROR(
        CheckText(id, "attribute value", value, EventLimits::kAttributeBytesMax - name.size()));
    for (size_t earlier = 0; earlier < i; earlier++) {
      if (attributes[earlier].first == name) {
        return absl::InvalidArgumentError(
            absl::StrCat(NameOf(id), ": attribute '", Printable(name), "' is given twice"));
      }
    }
  }
  return absl::OkStatus();
}

// The table of limits, for everyone who takes events.
template <typename AnyEvent>
absl::Status CheckLimits(const AnyEvent& event) {
  FOREBAY_RETURN_IF_ERROR(CheckText(event.id, "id", event.id, EventLimits::kIdBytesMax));
  FOREBAY_RETURN_IF_ERROR(CheckText(event.id, "key", event.key, EventLimits::kKeyBytesMax));
  FOREBAY_RETURN_IF_ERROR(CheckText(event.id, "type", event.type, EventLimits::kTypeBytesMax));
  if (event.payload.size() > EventLimits::kPayloadBytesMax) {
    return Over(event.id, "payload bytes", event.payload.size(), EventLimits::kPayloadBytesMax);
  }
  return CheckAttributes(event.id, event.attributes);
}

// 64 bits of nanoseconds: 1677-09-21 to 2262-04-11.
bool TimeFits(absl::Time time) {
  return time == absl::InfinitePast() ||
         (time >= absl::FromUnixNanos(INT64_MIN) && time <= absl::FromUnixNanos(INT64_MAX));
}

}  // namespace

absl::Status ValidateEvent(const Event& event) {
  if (!TimeFits(event.time)) {
    return absl::InvalidArgumentError(
        absl::StrCat(NameOf(event.id), ": time must be between the years 1678 and 2262"));
  }
  return CheckLimits(event);
}

absl::Status ValidateEvent(const EventView& event) { return CheckLimits(event); }

}  // namespace forebay
