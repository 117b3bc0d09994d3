// Blocks whose checksum is right and whose body is not: one of each kind.
#pragma once

#include <zstd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "block/block.h"
#include "support/forge.h"

namespace forebay {

struct BadBlock {
  std::string name;
  std::string bytes;
  std::string says;  // part of the refusal
};

// What the header says of a body.
struct ForgedHeader {
  Codec codec = Codec::kNone;
  size_t event_count = 1;
  size_t raw_bytes = 0;
};

inline std::string Number32(uint64_t number) {
  std::string bytes;
  for (int i = 0; i < 4; i++) bytes += static_cast<char>(number >> (8 * i));
  return bytes;
}

// Any body under any header, with a checksum that fits.
inline std::string ForgeBlock(const ForgedHeader& header, std::string_view body) {
  const Event event;
  std::string bytes(EncodeBlock({.producer = ProducerId("p")}, {&event, 1}, Codec::kNone)->bytes());
  bytes.replace(41, std::string::npos, body);
  bytes[5] = static_cast<char>(header.codec);
  bytes.replace(12, 4, Number32(header.event_count));
  bytes.replace(16, 4, Number32(header.raw_bytes));
  return Forge(bytes, 20, Number32(body.size()));
}

inline std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes += static_cast<char>(value);
}

// A field of wire type 2.
inline std::string BytesField(int field, std::string_view value) {
  return Varint(static_cast<uint64_t>(field) << 3 | 2) + Varint(value.size()) + std::string(value);
}

// A block of one event that has these bytes.
inline std::string BlockOfEvent(std::string_view message) {
  const std::string body = BytesField(1, message);
  return ForgeBlock({.raw_bytes = body.size()}, body);
}

inline std::string Zstd(std::string_view raw) {
  std::string out(ZSTD_compressBound(raw.size()), 0);
  out.resize(ZSTD_compress(out.data(), out.size(), raw.data(), raw.size(), 1));
  return out;
}

// 256 MiB of zeros in 8 KiB.
inline std::string ZstdBomb() {
  const std::string piece(1 << 20, 0);
  std::string out(64 << 10, 0);
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  for (int i = 0; i < 256; i++) {
    ZSTD_inBuffer from{piece.data(), piece.size(), 0};
    ZSTD_compressStream2(context, &to, &from, i < 255 ? ZSTD_e_continue : ZSTD_e_end);
  }
  ZSTD_freeCCtx(context);
  out.resize(to.pos);
  return out;
}

// In a body that is whole: what protobuf's own parser refuses or reads in another way.
inline std::vector<BadBlock> BadMessages() {
  return {
      {"unknown wire type", BlockOfEvent("\x0F"), "unknown wire type 7"},
      {"group", BlockOfEvent("\x53\x54"), "unknown wire type 3"},
      {"field of another type", BlockOfEvent("\x28\x07"), "field 5 is of wire type 0, not 2"},
      {"time of another type", BlockOfEvent("\x18\x07"), "field 3 is of wire type 0, not 1"},
      {"events of another type", ForgeBlock({.raw_bytes = 2}, "\x08\x07"), "field 1 is of wire"},
      {"field 0", BlockOfEvent({"\x02\0", 2}), "a tag that is none"},
      {"tag longer than it needs", BlockOfEvent({"\xAA\0\1x", 4}), "more bytes than it needs"},
      {"overlong tag", BlockOfEvent({"\xAA\x80\x80\x80\x80\0\0", 7}), "a tag that is none"},
      {"overlong length", BlockOfEvent({"\x2A\x80\x80\x80\x80\x80\0", 7}), "field 5 is cut off"},
      {"length of 2 GiB", BlockOfEvent("\x2A\x80\x80\x80\x80\x08"), "field 5 is cut off"},
      {"number without end", BlockOfEvent("\x50" + std::string(11, '\xFF')), "10 is cut off"},
      {"field twice", BlockOfEvent(BytesField(1, "a") + BytesField(1, "b")), "1 is given twice"},
      {"cut attribute",
       BlockOfEvent(BytesField(6,
                               "\x0A\x09"
                               "ab")),
       "attribute 0: field 1"},
      {"cut time", BlockOfEvent("\x19zzz"), "field 3 is cut off"},
  };
}

inline std::vector<BadBlock> BadBodies() {
  std::vector<Event> events(20);
  for (Event& event : events) event.payload = R"({"page":"/docs/start"})";
  const BlockStamp stamp{.producer = ProducerId("p")};
  const auto encode = [&](Codec codec) {
    return std::string(EncodeBlock(stamp, events, codec)->bytes());
  };
  const std::string none = encode(Codec::kNone);
  const std::string lz4 = encode(Codec::kLz4);
  const std::string zstd = encode(Codec::kZstd);
  const std::string raw = none.substr(41);
  const ForgedHeader of_zstd{Codec::kZstd, 20, raw.size()};
  const std::string skippable = "\x50\x2A\x4D\x18" + Number32(4) + "junk";
  const std::string cut = raw.substr(0, raw.size() - 3);
  std::string with_dictionary = zstd.substr(41);
  // The frame's descriptor, then the dictionary's id; the content's size stays.
  with_dictionary[4] = static_cast<char>(with_dictionary[4] | 1);
  with_dictionary.insert(5, "\x07");
  std::vector<BadBlock> bad = {
      {"count too high", Forge(none, 12, Number32(21)), "holds 20 events, but the header says 21"},
      {"count too low", Forge(none, 12, Number32(19)), "more than the 19 events"},
      {"raw length too high", Forge(zstd, 16, Number32(raw.size() + 1)), "does not decompress"},
      {"raw length too low", Forge(zstd, 16, Number32(raw.size() - 1)), "does not decompress"},
      {"raw length of an uncompressed body", Forge(none, 16, Number32(1)), "does not decompress"},
      {"lz4's raw length too high", Forge(lz4, 16, Number32(raw.size() + 1)), "not decompress"},
      {"cut protobuf", ForgeBlock({.event_count = 20, .raw_bytes = cut.size()}, cut), "is cut off"},
      {"no protobuf", ForgeBlock({.raw_bytes = 5}, "hello"), "no EventBatch"},
      {"bytes behind the events",
       ForgeBlock({.event_count = 20, .raw_bytes = raw.size() + 1}, raw + '\0'),
       "a tag that is none"},
      {"bomb", ForgeBlock({.codec = Codec::kZstd, .raw_bytes = 4 << 20}, ZstdBomb()),
       "does not decompress"},
      {"no codec, though it is zstd", Forge(zstd, 5, {"\0", 1}), "does not decompress"},
      {"zstd, though it is lz4", Forge(lz4, 5, "\x02"), "not a zstd frame"},
      {"lz4, though it is zstd", Forge(zstd, 5, "\x01"), "does not decompress"},
      {"zstd with a dictionary", ForgeBlock(of_zstd, with_dictionary), "dictionary"},
      {"two frames of zstd", ForgeBlock(of_zstd, Zstd(raw.substr(0, 50)) + Zstd(raw.substr(50))),
       "follow the body's first zstd frame"},
      {"a skippable frame", ForgeBlock(of_zstd, zstd.substr(41) + skippable), "follow the body's"},
      {"a skippable frame first", ForgeBlock(of_zstd, skippable + zstd.substr(41)), "not a zstd"},
      {"zstd that ends early", ForgeBlock(of_zstd, zstd.substr(41, zstd.size() - 45)),
       "whole zstd"},
      {"lz4 that ends early",
       ForgeBlock({Codec::kLz4, 20, raw.size()}, lz4.substr(41, lz4.size() - 45)),
       "does not decompress"},
      {"a body far larger than its events", ForgeBlock(of_zstd, std::string(1 << 20, 'x')),
       "at most"},
  };
  for (BadBlock& message : BadMessages()) bad.push_back(std::move(message));
  return bad;
}

// A body that is an EventBatch of one event that is over a limit.
inline std::vector<BadBlock> EventsOverLimits() {
  const auto attribute = [](std::string_view name, std::string_view value) {
    return BytesField(6, BytesField(1, name) + BytesField(2, value));
  };
  std::string many;
  for (int i = 0; i < 65; i++) many += attribute(std::to_string(i), "x");
  return {
      {"id", BlockOfEvent(BytesField(1, std::string(257, 'i'))), "id bytes: 257, over the limit"},
      {"key", BlockOfEvent(BytesField(2, std::string(1025, 'k'))), "key bytes: 1025, over"},
      {"type", BlockOfEvent(BytesField(4, std::string(257, 't'))), "type bytes: 257, over"},
      {"payload", BlockOfEvent(BytesField(5, std::string((1 << 20) + 1, 'p'))),
       "payload bytes: 1048577, over the limit of 1048576"},
      {"attributes", BlockOfEvent(many), "more than 64 attributes"},
      {"attribute's name", BlockOfEvent(attribute(std::string(4097, 'a'), "")), "4097, over"},
      {"attribute's value", BlockOfEvent(attribute("abc", std::string(4094, 'a'))), "4094, over"},
      {"attribute twice", BlockOfEvent(attribute("a", "1") + attribute("a", "2")), "'a' is given"},
      {"id that is not UTF-8", BlockOfEvent(BytesField(1, "\xFF")),
       R"(event '\xff': id is not UTF-8)"},
      {"key that is not UTF-8", BlockOfEvent(BytesField(2, "a\xC3")), "key is not UTF-8"},
      {"type that is not UTF-8", BlockOfEvent(BytesField(4, "\xED\xA0\x80")), "type is not"},
      {"name that is not UTF-8", BlockOfEvent(attribute("\xFF", "")), "attribute name is not"},
      {"value that is not UTF-8", BlockOfEvent(attribute("", "\xFF")), "attribute value is not"},
  };
}

}  // namespace forebay
