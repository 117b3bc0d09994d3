#include "drain/dead_letter.h"

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/printable.h"
#include "base/status.h"
#include "block/block.h"
#include "block/event_json.h"
#include "block/json_text.h"
#include "forebay/options.h"

namespace forebay {
namespace {

constexpr char kType[] = "forebay.dead-letter";
constexpr char kSetAsideType[] = "forebay.set-aside";
constexpr size_t kReasonBytesMax = 4096;
// Base64 makes it 700 KB; the other members take less than 64 KB even when fully escaped.
constexpr size_t kPartBytes = 512 << 10;
// A block holds 4 MiB at most, and little more when it does not shrink.
constexpr uint32_t kPartsMax = 16;

// Everything but the closing brace and the event.
std::string Head(const DeadLetter& letter) {
  std::string out = "{\"reason\":";
  AppendJsonString(letter.reason.substr(0, kReasonBytesMax), out);
  out += ",\"sink\":";
  AppendJsonString(letter.sink.value(), out);
  out += ",\"stream\":";
  AppendJsonString(letter.partition.stream.value(), out);
  absl::StrAppend(&out, ",\"partition\":", letter.partition.index,
                  ",\"offset\":", letter.offset.value());
  return out;
}

bool HasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

// Whether some sink might refuse a letter that holds the event's texts.
bool IsPlain(const Event& event) {
  if (!ValidateEvent(event).ok()) return false;
  if (HasNul(event.id) || HasNul(event.key) || HasNul(event.type)) return false;
  return std::none_of(event.attributes.begin(), event.attributes.end(), [](const auto& attribute) {
    return HasNul(attribute.first) || HasNul(attribute.second);
  });
}

Event Envelope(const DeadLetter& letter) {
  Event out;
  out.id = absl::StrCat(letter.sink.value(), "/", letter.partition.ToString(), "/",
                        letter.offset.value());
  out.key = letter.event.key;
  out.type = kType;
  return out;
}

// In letters of at most kPartBytes each, which `rest` ends, given a share's base64.
std::vector<Event> InParts(
    const Event& envelope, const std::string& head, std::string_view bytes,
    const std::function<void(std::string_view base64, std::string& out)>& rest) {
  const size_t parts = std::max<size_t>(1, (bytes.size() + kPartBytes - 1) / kPartBytes);
  std::vector<Event> out(parts, envelope);
  for (size_t part = 0; part < parts; part++) {
    absl::StrAppend(&out[part].id, "/", part + 1);
    out[part].payload = absl::StrCat(head, ",\"part\":", part + 1, ",\"parts\":", parts);
    rest(absl::Base64Escape(View(bytes.substr(part * kPartBytes, kPartBytes))), out[part].payload);
  }
  return out;
}

std::vector<Event> EncodeInParts(const DeadLetter& letter, const std::string& head) {
  Event bare = letter.event;
  bare.payload.clear();
  bare.attributes.clear();  // go on the envelope: escaped, they may be too large for JSON
  Event envelope = Envelope(letter);
  envelope.attributes = letter.event.attributes;
  return InParts(envelope, head, letter.event.payload,
                 [&](std::string_view base64, std::string& out) {
                   absl::StrAppend(&out, ",\"payload_base64\":\"", View(base64), "\",\"event\":");
                   AppendEventJson(bare, out);
                   out += '}';
                 });
}

void EndWithBlock(std::string_view base64, std::string& out) {
  absl::StrAppend(&out, ",\"block_base64\":\"", View(base64), "\"}");
}

std::vector<Event> EncodeInBlock(const DeadLetter& letter, const std::string& head) {
  const absl::StatusOr<Block> block =
      EncodeBlock({.producer = ProducerId(kType)}, {&letter.event, 1}, Codec::kZstd);
  FOREBAY_CHECK(block.ok(), "an event that came out of a block does not fit into one");
  Event envelope = Envelope(letter);
  envelope.key = envelope.id;  // one partition for all parts
  return InParts(envelope, head, block->bytes(), EndWithBlock);
}

absl::Status NotADeadLetter(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("not a dead letter: ", why));
}

// What stands in a letter's payload, member by member.
struct Members {
  DeadLetter& letter;
  bool has_event = false;
  bool has_part = false;
  std::string payload = {};  // of this part

  absl::Status Read(const std::string& name, std::string_view value) {
    if (name == "reason") return ReadText(value, letter.reason);
    if (name == "sink") return ReadId(value, letter.sink);
    if (name == "stream") return ReadId(value, letter.partition.stream);
    if (name == "partition") return ReadNumber(name, value, letter.partition.index);
    if (name == "offset") return ReadOffset(value);
    if (name == "part") {
      has_part = true;
      return ReadNumber(name, value, letter.part);
    }
    if (name == "parts") return ReadNumber(name, value, letter.parts);
    if (name == "payload_base64") return ReadBase64(value, payload);
    if (name == "block_base64") return ReadBase64(value, letter.block);
    if (name == "event") return ReadEvent(value);
    return absl::OkStatus();
  }

 private:
  static absl::Status ReadText(std::string_view value, std::string& out) {
    absl::StatusOr<std::string> text = ReadJsonString(value);
    if (!text.ok()) return text.status();
    out = *std::move(text);
    return absl::OkStatus();
  }
  template <typename Id>
  static absl::Status ReadId(std::string_view value, Id& out) {
    std::string text;
    FOREBAY_RETURN_IF_ERROR(ReadText(value, text));
    out = Id(std::move(text));
    return absl::OkStatus();
  }
  template <typename Number>
  static absl::Status ReadNumber(std::string_view name, std::string_view value, Number& out) {
    if (absl::SimpleAtoi(View(value), &out)) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("its '", View(name), "' is no number"));
  }
  absl::Status ReadOffset(std::string_view value) {
    uint64_t offset = 0;
    FOREBAY_RETURN_IF_ERROR(ReadNumber("offset", value, offset));
    letter.offset = Offset(offset);
    return absl::OkStatus();
  }
  static absl::Status ReadBase64(std::string_view value, std::string& out) {
    std::string text;
    FOREBAY_RETURN_IF_ERROR(ReadText(value, text));
    if (absl::Base64Unescape(text, &out)) return absl::OkStatus();
    return absl::InvalidArgumentError("it holds what is not base64");
  }
  absl::Status ReadEvent(std::string_view value) {
    absl::StatusOr<Event> event = ParseEventJson(value);
    if (!event.ok()) return WithContext(event.status(), "the event in it");
    letter.event = *std::move(event);
    has_event = true;
    return absl::OkStatus();
  }
};

}  // namespace

StreamId DeadLetterStream(const StreamId& stream) {
  return StreamId(stream.value() + ".dead-letter");
}

std::vector<Event> EncodeDeadLetter(const DeadLetter& letter) {
  const std::string head = Head(letter);
  if (!IsPlain(letter.event)) return EncodeInBlock(letter, head);
  Event event = Envelope(letter);
  event.payload = head + ",\"event\":";
  AppendEventJson(letter.event, event.payload);
  event.payload += '}';
  if (event.payload.size() > EventLimits::kPayloadBytesMax) return EncodeInParts(letter, head);
  return {std::move(event)};
}

std::vector<Event> EncodeSetAside(const SetAsideLetter& letter) {
  Event envelope;
  envelope.id = absl::StrCat("set-aside/", letter.partition.ToString(), "/", letter.first.value());
  envelope.type = kSetAsideType;
  std::string head = "{\"reason\":";
  AppendJsonString(letter.reason.substr(0, kReasonBytesMax), head);
  head += ",\"stream\":";
  AppendJsonString(letter.partition.stream.value(), head);
  absl::StrAppend(&head, ",\"partition\":", letter.partition.index,
                  ",\"first\":", letter.first.value(), ",\"end\":", letter.end.value());
  return InParts(envelope, head, letter.block, EndWithBlock);
}

bool IsSetAsideLetter(const Event& event) { return event.type == kSetAsideType; }

absl::StatusOr<DeadLetter> ParseDeadLetter(const Event& event) {
  if (event.type != kType)
    return NotADeadLetter(absl::StrCat("its type is '", Printable(event.type), "'"));
  DeadLetter out;
  Members members{.letter = out};
  const absl::Status status = ForEachJsonMember(
      event.payload,
      [&](const std::string& name, std::string_view value) { return members.Read(name, value); });
  if (!status.ok()) return NotADeadLetter(status.message());
  if (!members.has_event && out.block.empty()) return NotADeadLetter("it holds no event");
  if (out.part < 1 || out.part > out.parts || out.parts > kPartsMax) {
    return NotADeadLetter(
        absl::StrCat("it is part ", out.part, " of ", out.parts, ", of at most ", kPartsMax));
  }
  if (members.has_part && out.block.empty()) {
    out.event.attributes = event.attributes;
    out.event.payload = std::move(members.payload);
  }
  return out;
}

absl::StatusOr<std::optional<DeadLetter>> DeadLetterJoiner::Add(DeadLetter part) {
  if (part.parts == 1 && part.block.empty()) return part;
  // A writer that stopped half-way starts again with part 1.
  if (part.part == 1) {
    whole_ = std::move(part);
    joined_ = 1;
  } else if (part.part == joined_ + 1 && part.parts == whole_.parts && part.sink == whole_.sink &&
             part.partition == whole_.partition && part.offset == whole_.offset) {
    joined_++;
    whole_.event.payload += part.event.payload;
    whole_.block += part.block;
  } else {
    return std::nullopt;
  }
  if (joined_ < whole_.parts) return std::nullopt;
  joined_ = 0;
  if (whole_.block.empty()) return std::move(whole_);
  const absl::StatusOr<Block> block = Block::Parse(std::exchange(whole_.block, {}));
  if (!block.ok()) return NotADeadLetter(block.status().message());
  absl::StatusOr<std::vector<Event>> events = block->Decode();
  if (!events.ok() || events->size() != 1) return NotADeadLetter("its block holds no single event");
  whole_.event = std::move(events->front());
  return std::move(whole_);
}

}  // namespace forebay
