// G10: a damaged byte is detected, never served. Golden files: the bytes on disk and wire stay.
#include "block/block.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "base/checksum.h"
#include "block/event_ids.h"
#include "forebay/v1/event.pb.h"
#include "fuzz/block_fuzz.h"
#include "runtime/random.h"
#include "support/forge.h"

namespace forebay {
namespace {

Event SmallEvent(int i) {
  return {.id = "id-" + std::to_string(i),
          .key = "user-" + std::to_string(i % 3),
          .time = absl::FromUnixNanos(1'700'000'000'123'456'789 + i),
          .type = "click",
          .payload = R"({"page":"/docs/start","ms":12})",
          .attributes = {{"region", "eu"}, {"empty", ""}}};
}

std::vector<Event> SmallEvents(int count) {
  std::vector<Event> events;
  for (int i = 0; i < count; i++) events.push_back(SmallEvent(i));
  return events;
}

const BlockStamp kStamp{
    .producer = ProducerId("producer-7"), .producer_epoch = 3, .first_sequence = 1000};
constexpr Codec kCodecs[] = {Codec::kNone, Codec::kLz4, Codec::kZstd};

Block Encode(absl::Span<const Event> events, Codec codec) {
  absl::StatusOr<Block> block = EncodeBlock(kStamp, events, codec);
  EXPECT_TRUE(block.ok()) << block.status();
  return *std::move(block);
}

TEST(Block, GivesBackTheEventsAndTheStampWithEveryCodec) {
  for (const Codec codec : kCodecs) {
    for (const int count : {1, 2, 100}) {
      const std::vector<Event> events = SmallEvents(count);
      absl::StatusOr<Block> block = Block::Parse(std::string(Encode(events, codec).bytes()));
      ASSERT_TRUE(block.ok()) << block.status();
      EXPECT_EQ(block->stamp(), kStamp);
      EXPECT_EQ(block->event_count(), count);
      absl::StatusOr<std::vector<Event>> decoded = block->Decode();
      ASSERT_TRUE(decoded.ok()) << decoded.status();
      EXPECT_EQ(*decoded, events);
    }
  }
}

TEST(Block, KeepsEmptyFieldsAndBinaryPayloadsAndTimesAtTheEdge) {
  std::vector<Event> events(4);
  events[1].payload = std::string("\0\xFF\n\r", 4);
  events[2].time = absl::FromUnixNanos(INT64_MIN);
  events[3].time = absl::UnixEpoch();
  EXPECT_EQ(*Encode(events, Codec::kZstd).Decode(), events);
}

TEST(Block, IsSmallerWhenCompressedAndSaysItIsNotWhenThatDoesNotHelp) {
  const std::vector<Event> many = SmallEvents(200);
  EXPECT_LT(Encode(many, Codec::kLz4).bytes().size(),
            Encode(many, Codec::kNone).bytes().size() / 3);
  EXPECT_LT(Encode(many, Codec::kZstd).bytes().size(), Encode(many, Codec::kLz4).bytes().size());
  Event noise;
  Random random(1);
  for (int i = 0; i < 512; i++) noise.payload += static_cast<char>(random.Next());
  EXPECT_EQ(Encode({&noise, 1}, Codec::kZstd).codec(), Codec::kNone);
}

TEST(Block, RawBytesAreWhatEncodedBytesAnnounced) {
  const std::vector<Event> events = SmallEvents(3);
  size_t bytes = 0;
  for (const Event& event : events) bytes += EncodedBytes(event);
  EXPECT_EQ(Encode(events, Codec::kLz4).raw_bytes(), bytes);
}

TEST(EventIds, CountUpInHex) {
  EventIds ids("09e");
  std::vector<std::string> drawn;
  for (int i = 0; i < 4; i++) drawn.push_back(ids.Next());
  EXPECT_EQ(drawn, (std::vector<std::string>{"09e", "09f", "0a0", "0a1"}));
  EventIds last("ff");
  EXPECT_EQ(last.Next(), "ff");
  EXPECT_EQ(last.Next(), "00");
}

TEST(EventIds, TakeLittleRoomInABlock) {
  Random random(1);
  const auto body_bytes = [](std::vector<Event> events, auto next_id) {
    for (Event& event : events) event.id = next_id();
    return EncodeBlock({.producer = ProducerId("p")}, events, Codec::kZstd)->bytes().size();
  };
  const std::vector<Event> events = SmallEvents(1000);
  const size_t without = body_bytes(events, [] { return std::string(32, '0'); });
  EventIds ids(random.HexId());
  const size_t counted = body_bytes(events, [&] { return ids.Next(); });
  const size_t drawn = body_bytes(events, [&] { return random.HexId(); });
  EXPECT_LT(counted - without, 4000u);
  EXPECT_GT(drawn - without, 16'000u);
}

// Guard of G10: any flipped bit is found, in the header, the producer id or the body.
TEST(Block, IsRefusedWithAnyByteChanged) {
  for (const Codec codec : kCodecs) {
    const std::string bytes(Encode(SmallEvents(20), codec).bytes());
    for (size_t at = 0; at < bytes.size(); at++) {
      for (const int mask : {0x01, 0x80, 0xFF}) {
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ mask);
        EXPECT_EQ(Block::Parse(damaged).status().code(), absl::StatusCode::kDataLoss) << at;
      }
    }
  }
}

TEST(Block, IsRefusedAtEveryLengthButItsOwn) {
  for (const Codec codec : kCodecs) {
    const std::string bytes(Encode(SmallEvents(20), codec).bytes());
    for (size_t size = 0; size < bytes.size(); size++) {
      EXPECT_FALSE(Block::Parse(bytes.substr(0, size)).ok()) << size;
    }
    EXPECT_FALSE(Block::Parse(bytes + '\0').ok());
  }
}

// The header's fields, wrong but with a checksum that fits.
TEST(Block, BelievesNoFieldOfItsHeader) {
  const std::string bytes(Encode(SmallEvents(20), Codec::kZstd).bytes());
  const std::string_view ones("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8);
  EXPECT_EQ(Block::Parse(Forge(bytes, 4, "\x02")).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Block::Parse(Forge(bytes, 5, "\x09")).status().code(),
            absl::StatusCode::kInvalidArgument);
  for (const size_t at : {6, 12, 16, 20}) {
    EXPECT_FALSE(Block::Parse(Forge(bytes, at, ones.substr(0, at == 6 ? 2 : 4))).ok()) << at;
  }
  EXPECT_FALSE(Block::Parse(Forge(bytes, 32, ones)).ok()) << "sequence wraps";
  EXPECT_FALSE(Block::Parse(Forge(bytes, 12, std::string_view("\0\0\0\0", 4))).ok()) << "no events";
}

TEST(Block, IsNotDecodedWhenItsBodyIsNotWhatTheHeaderSays) {
  for (const Codec codec : kCodecs) {
    const std::string bytes(Encode(SmallEvents(20), codec).bytes());
    for (const auto& [at, with] : {std::pair<size_t, char>{12, 19}, {12, 21}, {16, 1}}) {
      absl::StatusOr<Block> block = Block::Parse(Forge(bytes, at, {&with, 1}));
      ASSERT_TRUE(block.ok()) << block.status();
      EXPECT_EQ(block->Decode().status().code(), absl::StatusCode::kDataLoss);
    }
  }
}

TEST(Block, BodyIsAnEventBatchThatAnyProtobufReads) {
  const std::vector<Event> events = SmallEvents(5);
  const std::string bytes(Encode(events, Codec::kNone).bytes());
  const std::string body = bytes.substr(40 + kStamp.producer.value().size());
  v1::EventBatch batch;
  ASSERT_TRUE(batch.ParseFromString(body));
  ASSERT_EQ(batch.events_size(), 5);
  EXPECT_EQ(batch.events(4).id(), "id-4");
  EXPECT_EQ(batch.events(4).key(), "user-1");
  EXPECT_EQ(batch.events(4).time_unix_nanos(), 1'700'000'000'123'456'793);
  EXPECT_EQ(batch.events(4).attributes().at("region"), "eu");
  EXPECT_EQ(batch.events(4).payload(), events[4].payload);
  EXPECT_EQ(batch.ByteSizeLong(), body.size());
}

TEST(Block, HasALimitOnEventsAndBytes) {
  EXPECT_FALSE(EncodeBlock(kStamp, {}, Codec::kNone).ok());
  Event large;
  large.payload.assign(EventLimits::kPayloadBytesMax, 'x');
  const std::vector<Event> too_much(4, large);
  const absl::Status status = EncodeBlock(kStamp, too_much, Codec::kLz4).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("4194304"), std::string::npos) << status;
  EXPECT_FALSE(
      EncodeBlock({.producer = ProducerId(std::string(65, 'p'))}, SmallEvents(1), Codec::kNone)
          .ok());
}

TEST(Block, DigestOfTheWholeIsTheChecksumOfTheBody) {
  const std::vector<Event> events = SmallEvents(5);
  const std::string bytes(Encode(events, Codec::kNone).bytes());
  EXPECT_EQ(DigestOf(events), Crc32c(bytes.substr(40 + kStamp.producer.value().size())));
  EXPECT_NE(DigestOf(events), DigestOf(absl::MakeSpan(events).subspan(1)));
}

// G3, guard sequence-reused: a node fills in times, and attributes come from a map.
TEST(Block, HasADigestThatOnlyTheContentChanges) {
  const auto block = [](const std::string& payload, bool other_way, Codec codec) {
    Event event;
    event.id = "id";
    event.payload = payload + std::string(1000, 'x');
    event.attributes = {{"one", "1"}, {"two", "2"}};
    if (other_way) {
      event.time = absl::UnixEpoch();
      std::swap(event.attributes[0], event.attributes[1]);
    }
    return EncodeBlock({ProducerId("p"), 0, 0}, {event, Event()}, codec).value();
  };
  const Block one = block("one", false, Codec::kZstd);
  const Block same = block("one", true, Codec::kNone);
  EXPECT_NE(one.checksum(), same.checksum());
  EXPECT_EQ(one.known_digest(), same.known_digest());
  EXPECT_NE(one.known_digest(), block("two", false, Codec::kZstd).known_digest());
  const Block received = Block::Parse(std::string(one.bytes())).value();
  EXPECT_FALSE(received.known_digest().has_value());
  const Block copy = received;
  ASSERT_TRUE(copy.Validate().ok());
  EXPECT_EQ(received.known_digest(), one.known_digest());
  const Block read = Block::Parse(std::string(one.bytes())).value();
  EXPECT_EQ(read.ComputeDigest().value(), *one.known_digest());
}

TEST(ValidateEvent, NamesTheEventTheLimitAndTheValue) {
  EXPECT_TRUE(ValidateEvent(SmallEvent(1)).ok());
  EXPECT_TRUE(ValidateEvent(Event{}).ok());
  Event event = SmallEvent(1);
  event.key.assign(1025, 'k');
  EXPECT_EQ(ValidateEvent(event).message(),
            "event 'id-1': key bytes: 1025, over the limit of 1024");
  event = SmallEvent(1);
  event.payload.assign(EventLimits::kPayloadBytesMax + 1, 'p');
  EXPECT_EQ(ValidateEvent(event).code(), absl::StatusCode::kInvalidArgument);
  event = SmallEvent(1);
  event.attributes.push_back({"region", "us"});
  EXPECT_EQ(ValidateEvent(event).message(), "event 'id-1': attribute 'region' is given twice");
  event = SmallEvent(1);
  event.attributes.assign(65, {"a", "b"});
  EXPECT_FALSE(ValidateEvent(event).ok());
  event = SmallEvent(1);
  event.time = absl::InfiniteFuture();
  EXPECT_FALSE(ValidateEvent(event).ok());
}

TEST(ValidateEvent, TakesUtf8AndNothingElseForText) {
  Event event;
  for (const char* good : {"caf\u00e9", "\u65e5\u672c", "\U0001F30A", ""}) {
    event.key = good;
    EXPECT_TRUE(ValidateEvent(event).ok()) << good;
  }
  for (const char* bad : {"\xFF", "a\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80"}) {
    event.key = bad;
    EXPECT_FALSE(ValidateEvent(event).ok());
  }
}

// FOREBAY_GOLDEN=write rewrites the files; a change of them is a change of the format.
TEST(Block, HasTheBytesOfTheGoldenFiles) {
  const std::vector<Event> events = SmallEvents(6);
  const char* names[] = {"block_none.bin", "block_lz4.bin", "block_zstd.bin"};
  for (size_t i = 0; i < 3; i++) {
    const auto path = std::filesystem::path(__FILE__).parent_path() / "golden" / names[i];
    const std::string bytes(Encode(events, kCodecs[i]).bytes());
    const char* mode = std::getenv("FOREBAY_GOLDEN");
    if (mode != nullptr && std::string(mode) == "write") std::ofstream(path) << bytes;
    std::stringstream golden;
    golden << std::ifstream(path).rdbuf();
    EXPECT_EQ(golden.str(), bytes) << path;
    absl::StatusOr<Block> block = Block::Parse(golden.str());
    ASSERT_TRUE(block.ok()) << path << block.status();
    EXPECT_EQ(*block->Decode(), events);
  }
}

TEST(Block, FuzzBodyHoldsOverMutationsOfSeeds) {
  Random random(20240607);
  int parsed = 0;
  for (const Codec codec : kCodecs) {
    const std::string seed(Encode(SmallEvents(10), codec).bytes());
    for (int round = 0; round < 3000; round++) {
      std::string input = seed;
      for (uint64_t flips = 1 + random.Below(4); flips > 0; flips--) {
        input[random.Below(input.size())] = static_cast<char>(random.Next());
      }
      if (random.Chance(0.2)) input.resize(random.Below(input.size() + 1));
      parsed += FuzzBlock(input);
    }
  }
  EXPECT_GT(parsed, 0) << "no mutation reached the decoder";
}

}  // namespace
}  // namespace forebay
