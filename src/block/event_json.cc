#include "block/event_json.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/printable.h"
#include "base/status.h"
#include "block/json_text.h"

namespace forebay {
namespace {

void AppendMember(std::string_view name, std::string_view value, std::string& out) {
  if (value.empty()) return;
  absl::StrAppend(&out, ",\"", View(name), "\":");
  AppendJsonString(value, out);
}

bool StandsAsItIs(std::string_view payload) {
  const absl::StatusOr<JsonTraits> json = CheckJson(payload);
  return json.ok() && !json->has_line_break && !json->has_space_around &&
         !json->has_lone_surrogate && json->depth <= kEmbeddedDepthMax &&
         json->digits_max <= kEmbeddedDigitsMax;
}

void AppendPayload(const std::string& payload, std::string& out) {
  if (payload.empty()) return;
  if (StandsAsItIs(payload)) {
    absl::StrAppend(&out, ",\"payload\":", payload);
  } else {
    absl::StrAppend(&out, ",\"payload_base64\":\"", absl::Base64Escape(payload), "\"");
  }
}

absl::Status Wrong(std::string_view name, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("'", Printable(name), "' ", View(what)));
}

absl::Status ReadString(std::string_view value, std::string_view name, std::string& out) {
  absl::StatusOr<std::string> text = ReadJsonString(value);
  if (!text.ok())
    return Wrong(name, {text.status().message().data(), text.status().message().size()});
  out = *std::move(text);
  return absl::OkStatus();
}

absl::Status ReadTime(std::string_view value, Event& event) {
  std::string text;
  FOREBAY_RETURN_IF_ERROR(ReadString(value, "time", text));
  std::string error;
  // Abseil has words for times as well, such as infinite-past.
  if (text.empty() || !absl::ascii_isdigit(text[0]) ||
      !absl::ParseTime(absl::RFC3339_full, text, &event.time, &error)) {
    return Wrong("time", absl::StrCat("must look like 2024-05-17T10:05:03.25Z, not '",
                                      Printable(text.substr(0, 100)), "'"));
  }
  return absl::OkStatus();
}

absl::Status ReadAttributes(std::string_view value, Event& event) {
  const absl::Status status =
      ForEachJsonMember(value, [&](const std::string& name, std::string_view text) {
        absl::StatusOr<std::string> decoded = ReadJsonString(text);
        if (!decoded.ok()) return decoded.status();
        event.attributes.emplace_back(name, *std::move(decoded));
        return absl::OkStatus();
      });
  return status.ok() ? status : Wrong("attributes", "must be an object of strings");
}

absl::Status ReadPayloadBase64(std::string_view value, Event& event) {
  std::string text;
  FOREBAY_RETURN_IF_ERROR(ReadString(value, "payload_base64", text));
  if (absl::Base64Unescape(text, &event.payload)) return absl::OkStatus();
  return Wrong("payload_base64", "is not base64");
}

absl::Status ReadMember(const std::string& name, std::string_view value, Event& event) {
  if (name == "id") return ReadString(value, name, event.id);
  if (name == "key") return ReadString(value, name, event.key);
  if (name == "type") return ReadString(value, name, event.type);
  if (name == "time") return ReadTime(value, event);
  if (name == "attributes") return ReadAttributes(value, event);
  if (name == "payload_base64") return ReadPayloadBase64(value, event);
  if (name == "payload") {
    event.payload = std::string(value);
    return absl::OkStatus();
  }
  return Wrong(name,
               "is not a member of an event; they are id, key, time, type, attributes, payload, "
               "payload_base64");
}

// Otherwise one of the two would be lost without a word.
absl::Status CheckOnce(const std::string& name, std::vector<std::string>& seen) {
  const bool is_payload = name == "payload" || name == "payload_base64";
  for (const std::string& earlier : seen) {
    if (earlier == name) return Wrong(name, "is given twice");
    if (is_payload && (earlier == "payload" || earlier == "payload_base64")) {
      return Wrong(name, absl::StrCat("is given beside '", earlier, "'; give one of them"));
    }
  }
  seen.push_back(name);
  return absl::OkStatus();
}

}  // namespace

void AppendAttributesJson(const Event& event, std::string& out) {
  out += '{';
  for (size_t i = 0; i < event.attributes.size(); i++) {
    if (i > 0) out += ',';
    AppendJsonString(event.attributes[i].first, out);
    out += ':';
    AppendJsonString(event.attributes[i].second, out);
  }
  out += '}';
}

void AppendEventJson(const Event& event, std::string& out) {
  out += "{\"id\":";
  AppendJsonString(event.id, out);
  AppendMember("key", event.key, out);
  if (event.time != absl::InfinitePast()) {
    AppendMember("time", absl::FormatTime(absl::RFC3339_full, event.time, absl::UTCTimeZone()),
                 out);
  }
  AppendMember("type", event.type, out);
  if (!event.attributes.empty()) {
    out += ",\"attributes\":";
    AppendAttributesJson(event, out);
  }
  AppendPayload(event.payload, out);
  out += '}';
}

absl::StatusOr<Event> ParseEventJson(std::string_view line) {
  Event event;
  std::vector<std::string> seen;
  FOREBAY_RETURN_IF_ERROR(
      ForEachJsonMember(line, [&](const std::string& name, std::string_view value) {
        FOREBAY_RETURN_IF_ERROR(CheckOnce(name, seen));
        return ReadMember(name, value, event);
      }));
  return event;
}

}  // namespace forebay
