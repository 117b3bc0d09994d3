// G10: whoever takes a block from a client checks all that it will have to decode.
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "block/block.h"
#include "forebay/v1/event.pb.h"
#include "runtime/random.h"
#include "support/bad_blocks.h"

namespace forebay {
namespace {

absl::Status Validate(const std::string& bytes) {
  const absl::StatusOr<Block> block = Block::Parse(bytes);
  return block.ok() ? block->Validate() : block.status();
}

void ExpectRefusals(const std::vector<BadBlock>& blocks) {
  for (const BadBlock& bad : blocks) {
    EXPECT_TRUE(Block::Parse(bad.bytes).ok()) << bad.name;
    const absl::Status status = Validate(bad.bytes);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.name << ": " << status;
    EXPECT_NE(std::string(status.message()).find(bad.says), std::string::npos)
        << bad.name << ": " << status;
  }
}

TEST(BlockCheck, RefusesEveryBodyThatIsNotWhatItsHeaderSays) { ExpectRefusals(BadBodies()); }

TEST(BlockCheck, HoldsTheLimitsOfEachEvent) { ExpectRefusals(EventsOverLimits()); }

TEST(BlockCheck, TakesWhatIsAtTheLimits) {
  Event event{
      .id = std::string(256, 'i'),
      .key = std::string(1024, 'k'),
      .type = std::string(256, 't'),
      .payload = std::string(1 << 20, 'p'),
      .attributes = {{"abc", std::string(4093, 'a')}, {"", ""}, {"caf\u00e9", "\U0001F30A"}}};
  for (int i = 0; i < 61; i++) event.attributes.push_back({std::to_string(i), ""});
  for (const Codec codec : {Codec::kNone, Codec::kLz4, Codec::kZstd}) {
    const auto block = EncodeBlock({.producer = ProducerId("p")}, {&event, 1}, codec);
    ASSERT_TRUE(block.ok()) << block.status();
    EXPECT_TRUE(block->Validate().ok()) << block->Validate();
  }
}

// A newer client may have more to say.
TEST(BlockCheck, PassesOverFieldsThatItDoesNotKnow) {
  const std::string fields = BytesField(9, "new") + "\x78\x07" + std::string("\x7D\1\2\3\4", 5) +
                             std::string("\x79\1\2\3\4\5\6\7\x08", 9);
  const std::string body = BytesField(1, BytesField(5, "x") + fields) + fields;
  const std::string block = ForgeBlock({.raw_bytes = body.size()}, body);
  EXPECT_TRUE(Validate(block).ok()) << Validate(block);
  EXPECT_EQ(Block::Parse(block)->Decode()->at(0).payload, "x");
}

// Random messages of event.proto, with all that may go wrong in some of them.
class Messages {
 public:
  explicit Messages(uint64_t seed) : random_(seed) {}

  std::string Batch(size_t& count) {
    std::string batch;
    count = 0;
    for (uint64_t i = random_.Below(4); i > 0; i--) {
      if (random_.Chance(0.05)) batch += AnyField();
      batch += OddBytesField(1, EventMessage());
      count++;
    }
    if (random_.Chance(0.05)) batch.resize(random_.Below(batch.size() + 1));
    return batch;
  }

 private:
  std::string Text() {
    static constexpr std::string_view kTexts[] = {
        "", "a", "plain text of some length", "caf\u00e9", "\U0001F30A", {"\0", 1}};
    if (random_.Chance(0.03)) return std::string(1 + random_.Below(2), static_cast<char>(0xC3));
    return std::string(kTexts[random_.Below(std::size(kTexts))]);
  }
  std::string Number() {
    std::string number = Varint(random_.Next() >> random_.Below(64));
    if (!random_.Chance(0.1)) return number;
    number.back() = static_cast<char>(number.back() | 0x80);
    return number + std::string(random_.Below(9), '\x80') + '\0';
  }
  // Protobuf reads lengths that are written with more bytes than they need, up to 5.
  std::string OddBytesField(int field, std::string_view value) {
    if (!random_.Chance(0.02)) return BytesField(field, value);
    std::string length = Varint(value.size());
    length.back() = static_cast<char>(length.back() | 0x80);
    length += std::string(random_.Below(6), '\x80') + '\0';
    return Varint(static_cast<uint64_t>(field) << 3 | 2) + length + std::string(value);
  }
  std::string AnyField() {
    if (random_.Chance(0.3)) return Number() + Text();
    const uint64_t field = random_.Chance(0.9) ? 7 + random_.Below(30) : random_.Below(7);
    switch (random_.Below(random_.Chance(0.9) ? 4 : 8)) {
      case 0:
        return Varint(field << 3) + Number();
      case 1:
        return Varint(field << 3 | 1) + std::string(8, 'z');
      case 2:
        return OddBytesField(static_cast<int>(field), Text());
      case 3:
        return Varint(field << 3 | 5) + std::string(4, 'z');
      default:
        return Varint(field << 3 | (3 + random_.Below(5))) + Text();
    }
  }
  // In any order, some left out, some twice.
  std::string EventMessage() {
    std::string event;
    uint64_t left_out = random_.Next() & 0x7E;
    for (int field = 1; field <= 6; field++) {
      if ((left_out >> field & 1) != 0) continue;
      if (field == 3) {
        event += '\x19' + std::string(8, static_cast<char>(random_.Next()));
      } else if (field == 6) {
        for (uint64_t i = random_.Below(3); i > 0; i--) event += Attribute(i);
      } else {
        event += OddBytesField(field, Text());
      }
      if (random_.Chance(0.02)) event += AnyField();
    }
    return event;
  }
  std::string Attribute(uint64_t i) {
    std::string entry;
    if (random_.Chance(0.9)) entry += OddBytesField(1, Text() + std::to_string(i));
    if (random_.Chance(0.9)) entry += OddBytesField(2, Text());
    if (random_.Chance(0.02)) entry += AnyField();
    return OddBytesField(6, entry);
  }

  Random random_;
};

std::map<std::string, std::string> Sorted(const Event& event) {
  return {event.attributes.begin(), event.attributes.end()};
}

void ExpectTheSame(const Event& ours, const v1::Event& theirs) {
  EXPECT_TRUE(ValidateEvent(ours).ok()) << ValidateEvent(ours);
  EXPECT_EQ(ours.id, theirs.id());
  EXPECT_EQ(ours.key, theirs.key());
  EXPECT_EQ(ours.type, theirs.type());
  EXPECT_EQ(ours.payload, theirs.payload());
  EXPECT_EQ(ours.time != absl::InfinitePast(), theirs.has_time_unix_nanos());
  if (theirs.has_time_unix_nanos()) {
    EXPECT_EQ(ours.time, absl::FromUnixNanos(theirs.time_unix_nanos()));
  }
  const std::map<std::string, std::string> attributes(theirs.attributes().begin(),
                                                      theirs.attributes().end());
  EXPECT_EQ(Sorted(ours), attributes);
  EXPECT_EQ(ours.attributes.size(), attributes.size());
}

TEST(BlockCheck, WhatItTakesEveryProtobufReadsAsTheSameEvents) {
  const google::protobuf::LogSilencer quiet;
  Messages messages(20261201);
  int taken = 0, refused = 0;
  for (int round = 0; round < 20'000 && !HasFailure(); round++) {
    size_t count = 0;
    const std::string body = messages.Batch(count);
    if (count == 0) continue;
    const Block block =
        *Block::Parse(ForgeBlock({.event_count = count, .raw_bytes = body.size()}, body));
    v1::EventBatch batch;
    const bool theirs_takes = batch.ParseFromString(body);
    if (!block.Validate().ok()) {
      refused++;
      continue;
    }
    taken++;
    ASSERT_TRUE(theirs_takes) << "round " << round;
    const absl::StatusOr<std::vector<Event>> events = block.Decode();
    ASSERT_TRUE(events.ok()) << events.status();
    ASSERT_EQ(batch.events_size(), count);
    ASSERT_EQ(events->size(), count);
    for (size_t i = 0; i < count; i++)
      ExpectTheSame((*events)[i], batch.events(static_cast<int>(i)));
  }
  EXPECT_GT(taken, 2000);
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace forebay
