#include "drain/dead_letter.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "block/event_json.h"
#include "forebay/options.h"

namespace forebay {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kType[] = "forebay.dead-letter";
constexpr char kSetAsideType[] = "forebay.set-aside";
constexpr size_t kReasonBytesMax = 4096;
// Base64 makes it 700 KB; the other members take less than 64 KB even when fully escaped.
constexpr size_t kPartBytes = 512 << 10;

// Everything but the closing brace and the event.
std::string Head(const DeadLetter& letter) {
  Json head;
  head["reason"] = letter.reason.substr(0, kReasonBytesMax);
  head["sink"] = letter.sink.value();
  head["stream"] = letter.partition.stream.value();
  head["partition"] = letter.partition.index;
  head["offset"] = letter.offset.value();
  // The reason comes from the downstream, in any encoding.
  std::string out = head.dump(-1, ' ', false, Json::error_handler_t::replace);
  out.pop_back();
  return out;
}

Event Envelope(const DeadLetter& letter) {
  Event out;
  out.id = absl::StrCat(letter.sink.value(), "/", letter.partition.ToString(), "/",
                        letter.offset.value());
  out.key = letter.event.key;
  out.type = kType;
  return out;
}

std::vector<Event> EncodeInParts(const DeadLetter& letter, const std::string& head) {
  Event bare = letter.event;
  bare.payload.clear();
  bare.attributes.clear();  // go on the envelope: escaped, they may be too large for JSON
  const std::string& payload = letter.event.payload;
  const size_t parts = std::max<size_t>(1, (payload.size() + kPartBytes - 1) / kPartBytes);
  std::vector<Event> out;
  for (size_t part = 0; part < parts; part++) {
    Event event = Envelope(letter);
    absl::StrAppend(&event.id, "/", part + 1);
    event.attributes = letter.event.attributes;
    event.payload = absl::StrCat(
        head, ",\"part\":", part + 1, ",\"parts\":", parts, ",\"payload_base64\":\"",
        absl::Base64Escape(View(std::string_view(payload).substr(part * kPartBytes, kPartBytes))),
        "\",\"event\":");
    AppendEventJson(bare, event.payload);
    event.payload += '}';
    out.push_back(std::move(event));
  }
  return out;
}

absl::Status NotADeadLetter(std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("not a dead letter: ", View(why)));
}

}  // namespace

StreamId DeadLetterStream(const StreamId& stream) {
  return StreamId(stream.value() + ".dead-letter");
}

std::vector<Event> EncodeDeadLetter(const DeadLetter& letter) {
  const std::string head = Head(letter);
  Event event = Envelope(letter);
  event.payload = head + ",\"event\":";
  AppendEventJson(letter.event, event.payload);
  event.payload += '}';
  if (event.payload.size() > EventLimits::kPayloadBytesMax) return EncodeInParts(letter, head);
  return {std::move(event)};
}

std::vector<Event> EncodeSetAside(const SetAsideLetter& letter) {
  const size_t parts = std::max<size_t>(1, (letter.block.size() + kPartBytes - 1) / kPartBytes);
  std::vector<Event> out;
  for (size_t part = 0; part < parts; part++) {
    Json json;
    json["reason"] = letter.reason.substr(0, kReasonBytesMax);
    json["stream"] = letter.partition.stream.value();
    json["partition"] = letter.partition.index;
    json["first"] = letter.first.value();
    json["end"] = letter.end.value();
    json["part"] = part + 1;
    json["parts"] = parts;
    json["block_base64"] = absl::Base64Escape(
        View(std::string_view(letter.block).substr(part * kPartBytes, kPartBytes)));
    Event event;
    event.id = absl::StrCat("set-aside/", letter.partition.ToString(), "/", letter.first.value(),
                            "/", part + 1);
    event.type = kSetAsideType;
    event.payload = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    out.push_back(std::move(event));
  }
  return out;
}

bool IsSetAsideLetter(const Event& event) { return event.type == kSetAsideType; }

absl::StatusOr<DeadLetter> ParseDeadLetter(const Event& event) {
  if (event.type != kType) return NotADeadLetter("its type is '" + event.type + "'");
  DeadLetter out;
  try {
    const Json json = Json::parse(event.payload);
    out.reason = json.at("reason").get<std::string>();
    out.sink = SinkId(json.at("sink").get<std::string>());
    out.partition.stream = StreamId(json.at("stream").get<std::string>());
    out.partition.index = json.at("partition").get<uint32_t>();
    out.offset = Offset(json.at("offset").get<uint64_t>());
    out.part = json.value("part", 1u);
    out.parts = json.value("parts", 1u);
    // The event is the last member; its text is kept because JSON payloads keep theirs.
    const std::string_view text = event.payload;
    const size_t at = text.find(",\"event\":{");
    if (at == std::string_view::npos) return NotADeadLetter("it holds no event");
    auto parsed = ParseEventJson(text.substr(at + 9, text.size() - at - 10));
    if (!parsed.ok()) return WithContext(parsed.status(), "the event in a dead letter");
    out.event = *std::move(parsed);
    if (json.contains("part")) {
      out.event.attributes = event.attributes;
      if (!absl::Base64Unescape(json.at("payload_base64").get<std::string>(), &out.event.payload)) {
        return NotADeadLetter("its payload is not base64");
      }
    }
  } catch (const Json::exception& e) {
    return NotADeadLetter(e.what());
  }
  return out;
}

}  // namespace forebay
