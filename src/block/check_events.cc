#include "block/check_events.h"

#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "block/event_view.h"
#include "block/event_wire.h"
#include "forebay/options.h"

namespace forebay {
namespace {

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CutOff(uint64_t tag) { return Wrong("field ", FieldOf(tag), " is cut off"); }

// A message's fields, one after the other: known ones at most once, of their own type.
class Fields {
 public:
  explicit Fields(std::string_view message) : reader_(message, /*length_bytes_max=*/5) {}

  bool done() const { return reader_.done(); }

  // `known` holds a bit for each tag of one byte that the message has; `tag` is one of them
  // afterwards, or 0 for an unknown field, which has been passed over.
  absl::Status Next(uint64_t known, uint64_t& tag) {
    tag = reader_.ByteOf(known);
    return tag != 0 ? absl::OkStatus() : SkipUnknown(known, tag);
  }

  absl::Status TakeOnce(uint64_t tag, std::string_view& out) {
    if ((seen_ >> tag & 1) != 0) return Wrong("field ", FieldOf(tag), " is given twice");
    seen_ |= uint64_t{1} << tag;
    return Take(tag, out);
  }

  absl::Status Take(uint64_t tag, std::string_view& out) {
    const std::optional<std::string_view> bytes =
        (tag & 7) == kFixed64 ? reader_.Take(8) : reader_.Bytes();
    if (!bytes) return CutOff(tag);
    out = *bytes;
    return absl::OkStatus();
  }

 private:
  absl::Status SkipUnknown(uint64_t known, uint64_t& tag) {
    const std::optional<uint64_t> next = reader_.StrictTag();
    if (!next) return Wrong("it holds a tag that is none");
    tag = *next;
    if (!IsWireType(tag & 7)) {
      return Wrong("field ", FieldOf(tag), " is of the unknown wire type ", tag & 7);
    }
    if (tag < 64 && (known >> tag & 1) != 0) {
      return Wrong("the tag of field ", FieldOf(tag), " takes more bytes than it needs");
    }
    for (uint64_t type = 0; type < 8 && FieldOf(tag) < 8; type++) {
      const uint64_t other = uint64_t{FieldOf(tag)} << 3 | type;
      if ((known >> other & 1) == 0) continue;
      return Wrong("field ", FieldOf(tag), " is of wire type ", tag & 7, ", not ", type);
    }
    if (!reader_.Skip(tag)) return CutOff(tag);
    tag = 0;
    return absl::OkStatus();
  }

  static bool IsWireType(uint64_t type) {
    return type == kVarint || type == kFixed64 || type == kBytes || type == kFixed32;
  }

  Reader reader_;
  uint64_t seen_ = 0;
};

template <typename... Tags>
constexpr uint64_t SetOf(Tags... tags) {
  return (... | (uint64_t{1} << tags));
}

absl::Status ReadAttribute(std::string_view entry,
                           std::pair<std::string_view, std::string_view>& attribute) {
  Fields fields(entry);
  while (!fields.done()) {
    uint64_t tag = 0;
    FOREBAY_RETURN_IF_ERROR(fields.Next(SetOf(kMapKeyTag, kMapValueTag), tag));
    if (tag == kMapKeyTag) FOREBAY_RETURN_IF_ERROR(fields.TakeOnce(tag, attribute.first));
    if (tag == kMapValueTag) FOREBAY_RETURN_IF_ERROR(fields.TakeOnce(tag, attribute.second));
  }
  return absl::OkStatus();
}

absl::Status ReadField(uint64_t tag, Fields& fields, EventView& event) {
  std::string_view bytes;
  switch (tag) {
    case kIdTag:
      return fields.TakeOnce(tag, event.id);
    case kKeyTag:
      return fields.TakeOnce(tag, event.key);
    case kTypeTag:
      return fields.TakeOnce(tag, event.type);
    case kPayloadTag:
      return fields.TakeOnce(tag, event.payload);
    case kTimeTag:
      return fields.TakeOnce(tag, bytes);
    case kAttributeTag:
      break;
    default:
      return absl::OkStatus();
  }
  FOREBAY_RETURN_IF_ERROR(fields.Take(tag, bytes));
  if (event.attributes.size() == EventLimits::kAttributesMax) {
    return Wrong("more than ", EventLimits::kAttributesMax, " attributes, which is the limit");
  }
  const absl::Status status = ReadAttribute(bytes, event.attributes.emplace_back());
  return WithContext(status, "attribute ", event.attributes.size() - 1);
}

absl::Status CheckEvent(std::string_view message, EventView& event) {
  event.id = event.key = event.type = event.payload = {};
  event.attributes.clear();
  Fields fields(message);
  while (!fields.done()) {
    uint64_t tag = 0;
    FOREBAY_RETURN_IF_ERROR(
        fields.Next(SetOf(kIdTag, kKeyTag, kTypeTag, kPayloadTag, kTimeTag, kAttributeTag), tag));
    FOREBAY_RETURN_IF_ERROR(ReadField(tag, fields, event));
  }
  return ValidateEvent(event);
}

}  // namespace

absl::Status CheckEvents(std::string_view batch, size_t count, ContentDigest& digest) {
  EventView event;  // of one event after the other, for its memory
  size_t found = 0;
  Fields fields(batch);
  while (!fields.done()) {
    uint64_t tag = 0;
    std::string_view message;
    absl::Status status = fields.Next(SetOf(kEventsTag), tag);
    if (status.ok() && tag == kEventsTag) status = fields.Take(tag, message);
    if (!status.ok()) return WithContext(status, "the body is no EventBatch at event ", found);
    if (tag != kEventsTag) continue;
    if (found == count) {
      return Wrong("the body holds more than the ", count, " events of the header");
    }
    if (status = CheckEvent(message, event); !status.ok()) {
      return WithContext(status, "event ", found, " of ", count);
    }
    digest.Add(event);
    found++;
  }
  if (found == count) return absl::OkStatus();
  return Wrong("the body holds ", found, " events, but the header says ", count);
}

}  // namespace forebay
