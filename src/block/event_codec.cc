#include "block/event_codec.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "block/block.h"
#include "block/event_wire.h"

namespace forebay {
namespace {

size_t VarintBytes(uint64_t value) {
  size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) bytes++;
  return bytes;
}

void AppendVarint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

size_t FieldBytes(size_t size) { return 1 + VarintBytes(size) + size; }
size_t OptionalFieldBytes(size_t size) { return size == 0 ? 0 : FieldBytes(size); }

void AppendField(uint32_t tag, std::string_view value, std::string& out) {
  out.push_back(static_cast<char>(tag));
  AppendVarint(value.size(), out);
  out.append(value);
}

void AppendOptionalField(uint32_t tag, std::string_view value, std::string& out) {
  if (!value.empty()) AppendField(tag, value, out);
}

// Map entries are written with both fields, empty or not, as protobuf does.
size_t AttributeBytes(const std::pair<std::string, std::string>& attribute) {
  return FieldBytes(attribute.first.size()) + FieldBytes(attribute.second.size());
}

size_t MessageBytes(const Event& event) {
  size_t bytes = OptionalFieldBytes(event.id.size()) + OptionalFieldBytes(event.key.size()) +
                 OptionalFieldBytes(event.type.size()) + OptionalFieldBytes(event.payload.size());
  if (event.time != absl::InfinitePast()) bytes += 9;
  for (const auto& attribute : event.attributes) bytes += FieldBytes(AttributeBytes(attribute));
  return bytes;
}

bool ReadInto(Reader& reader, std::string& out) {
  const std::optional<std::string_view> bytes = reader.Bytes();
  if (bytes) out.assign(*bytes);
  return bytes.has_value();
}

bool ReadAttribute(std::string_view bytes, std::pair<std::string, std::string>& attribute) {
  Reader reader(bytes);
  while (!reader.done()) {
    const std::optional<uint64_t> tag = reader.Varint();
    if (!tag) return false;
    bool ok;
    if (*tag == kMapKeyTag) {
      ok = ReadInto(reader, attribute.first);
    } else if (*tag == kMapValueTag) {
      ok = ReadInto(reader, attribute.second);
    } else {
      ok = reader.Skip(*tag);
    }
    if (!ok) return false;
  }
  return true;
}

bool ReadField(uint64_t tag, Reader& reader, Event& event) {
  switch (tag) {
    case kIdTag:
      return ReadInto(reader, event.id);
    case kKeyTag:
      return ReadInto(reader, event.key);
    case kTypeTag:
      return ReadInto(reader, event.type);
    case kPayloadTag:
      return ReadInto(reader, event.payload);
    case kTimeTag: {
      const std::optional<int64_t> nanos = reader.Fixed64();
      if (nanos) event.time = absl::FromUnixNanos(*nanos);
      return nanos.has_value();
    }
    case kAttributeTag: {
      const std::optional<std::string_view> entry = reader.Bytes();
      return entry && ReadAttribute(*entry, event.attributes.emplace_back());
    }
    default:
      return reader.Skip(tag);
  }
}

bool ReadEvent(std::string_view bytes, Event& event) {
  Reader reader(bytes);
  while (!reader.done()) {
    const std::optional<uint64_t> tag = reader.Varint();
    if (!tag || !ReadField(*tag, reader, event)) return false;
  }
  return true;
}

}  // namespace

size_t EncodedBytes(const Event& event) { return FieldBytes(MessageBytes(event)); }

void AppendEncoding(const Event& event, std::string& out) {
  out.push_back(static_cast<char>(kEventsTag));
  AppendVarint(MessageBytes(event), out);
  AppendOptionalField(kIdTag, event.id, out);
  AppendOptionalField(kKeyTag, event.key, out);
  if (event.time != absl::InfinitePast()) {
    out.push_back(static_cast<char>(kTimeTag));
    const auto nanos = static_cast<uint64_t>(absl::ToUnixNanos(event.time));
    for (int i = 0; i < 8; i++) out.push_back(static_cast<char>(nanos >> (8 * i)));
  }
  AppendOptionalField(kTypeTag, event.type, out);
  AppendOptionalField(kPayloadTag, event.payload, out);
  for (const auto& attribute : event.attributes) {
    out.push_back(static_cast<char>(kAttributeTag));
    AppendVarint(AttributeBytes(attribute), out);
    AppendField(kMapKeyTag, attribute.first, out);
    AppendField(kMapValueTag, attribute.second, out);
  }
}

absl::StatusOr<std::vector<Event>> DecodeEvents(std::string_view batch, size_t count_max) {
  std::vector<Event> events;
  events.reserve(count_max);
  Reader reader(batch);
  while (!reader.done()) {
    const std::optional<uint64_t> tag = reader.Varint();
    if (tag && *tag != kEventsTag && reader.Skip(*tag)) continue;
    const std::optional<std::string_view> bytes = tag == kEventsTag ? reader.Bytes() : std::nullopt;
    if (!bytes) return absl::DataLossError("the batch is not a forebay.v1.EventBatch");
    if (events.size() == count_max) {
      return absl::DataLossError(absl::StrCat("the batch holds more than ", count_max, " events"));
    }
    if (!ReadEvent(*bytes, events.emplace_back())) {
      return absl::DataLossError(
          absl::StrCat("event ", events.size() - 1, " of the batch is not a forebay.v1.Event"));
    }
  }
  return events;
}

}  // namespace forebay
