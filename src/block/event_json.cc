#include "block/event_json.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status.h"

namespace forebay {
namespace {

using Json = nlohmann::ordered_json;

void AppendMember(std::string_view name, std::string_view value, std::string& out) {
  if (value.empty()) return;
  absl::StrAppend(&out, ",\"", View(name), "\":");
  AppendJsonString(value, out);
}

void AppendPayload(const std::string& payload, std::string& out) {
  if (payload.empty()) return;
  if (!Json::accept(payload)) {
    absl::StrAppend(&out, ",\"payload_base64\":\"", absl::Base64Escape(payload), "\"");
    return;
  }
  out += ",\"payload\":";
  // Inside a JSON string a line break is always escaped, so a raw one is only white space.
  for (char c : payload) out += c == '\n' || c == '\r' ? ' ' : c;
}

absl::Status Wrong(std::string_view name, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("'", View(name), "' ", View(what)));
}

absl::Status ReadString(const Json& value, std::string_view name, std::string& out) {
  if (!value.is_string()) return Wrong(name, "must be a string");
  out = value.get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadTime(const Json& value, Event& event) {
  std::string text;
  FOREBAY_RETURN_IF_ERROR(ReadString(value, "time", text));
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &event.time, &error)) {
    return Wrong("time", absl::StrCat("must look like 2024-05-17T10:05:03.25Z, not '", text, "'"));
  }
  return absl::OkStatus();
}

absl::Status ReadAttributes(const Json& value, Event& event) {
  if (!value.is_object()) return Wrong("attributes", "must be an object of strings");
  for (const auto& [name, text] : value.items()) {
    if (!text.is_string()) return Wrong("attributes", "must be an object of strings");
    event.attributes.emplace_back(name, text.get<std::string>());
  }
  return absl::OkStatus();
}

// Keeps the text of the top-level member "payload" as it stands, because parsing and printing it
// again would change numbers and the order of bytes.
std::string RawPayload(std::string_view line, const Json& parsed) {
  int depth = 0;
  bool in_string = false;
  size_t string_at = 0, value_at = 0;
  std::string_view name;
  for (size_t at = 0; at < line.size(); at++) {
    const char c = line[at];
    if (in_string) {
      if (c == '\\') {
        at++;
      } else if (c == '"') {
        in_string = false;
        if (depth == 1 && value_at == 0) name = line.substr(string_at, at + 1 - string_at);
      }
      continue;
    }
    if (c == '"') {
      in_string = true;
      string_at = at;
    } else if (c == ':' && depth == 1) {
      value_at = at + 1;
    } else if (c == '{' || c == '[') {
      depth++;
    } else if ((c == '}' || c == ']' || c == ',') && depth == 1) {
      if (name == "\"payload\"" && value_at != 0) {
        std::string_view value = line.substr(value_at, at - value_at);
        while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
        return std::string(value);
      }
      value_at = 0;
      if (c != ',') depth--;
    } else if (c == '}' || c == ']') {
      depth--;
    }
  }
  return parsed.dump();  // the name was written with escapes
}

absl::Status ReadMember(const std::string& name, const Json& value, std::string_view line,
                        Event& event) {
  if (name == "id") return ReadString(value, name, event.id);
  if (name == "key") return ReadString(value, name, event.key);
  if (name == "type") return ReadString(value, name, event.type);
  if (name == "time") return ReadTime(value, event);
  if (name == "attributes") return ReadAttributes(value, event);
  if (name == "payload") {
    event.payload = RawPayload(line, value);
    return absl::OkStatus();
  }
  if (name == "payload_base64") {
    std::string text;
    FOREBAY_RETURN_IF_ERROR(ReadString(value, name, text));
    if (!absl::Base64Unescape(text, &event.payload)) return Wrong(name, "is not base64");
    return absl::OkStatus();
  }
  return Wrong(name,
               "is not a member of an event; they are id, key, time, type, attributes, payload, "
               "payload_base64");
}

}  // namespace

void AppendJsonString(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte >= 0x20) {
      out += c;
    } else {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  out += '"';
}

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
  const Json parsed = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return absl::InvalidArgumentError("not valid JSON");
  if (!parsed.is_object()) return absl::InvalidArgumentError("not a JSON object");
  Event event;
  for (const auto& [name, value] : parsed.items()) {
    FOREBAY_RETURN_IF_ERROR(ReadMember(name, value, line, event));
  }
  return event;
}

}  // namespace forebay
