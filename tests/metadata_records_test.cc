#include <gtest/gtest.h>

#include <string>

#include "gmock/gmock.h"
#include "records/records.h"

namespace forebay {
namespace {

using ::testing::HasSubstr;

const uint64_t kLarge = 0xfedcba9876543210;  // doubles cannot hold it

NodeRecord ANode() {
  return {NodeId("a1"), ZoneId("a"), "127.0.0.1:4000", Incarnation(kLarge), ProcessLife(kLarge - 1),
          true};
}

Segment ASegment(uint64_t epoch, uint64_t base, std::optional<uint64_t> end) {
  Segment segment;
  segment.epoch = Epoch(epoch);
  segment.base = Offset(base);
  if (end.has_value()) segment.end = Offset(*end);
  segment.replicas = {{NodeId("a1"), Incarnation(kLarge), ZoneId("a")},
                      {NodeId("b1"), Incarnation(7), ZoneId("b")}};
  segment.owner = NodeId("a1");
  segment.owner_life = ProcessLife(kLarge);
  return segment;
}

Chain AChain() {
  return {{ASegment(1, 0, 100), ASegment(4, 100, 100), ASegment(5, 100, std::nullopt)}};
}

std::string Replaced(std::string text, const std::string& what, const std::string& with) {
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what << " in " << text;
  return at == std::string::npos ? text : text.replace(at, what.size(), with);
}

template <typename T>
void ExpectDataLoss(const absl::StatusOr<T>& decoded, const std::string& why) {
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(decoded.status().message()), HasSubstr(why));
}

TEST(Records, NodeComesBackAsItWasWritten) {
  const auto back = DecodeNode(Encode(ANode()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, ANode());
}

TEST(Records, StreamComesBackAsItWasWritten) {
  StreamOptions stream;
  stream.name = StreamId("web");
  stream.partitions = 12;
  stream.copies = 5;
  stream.ack_copies = 3;
  stream.codec = Codec::kLz4;
  stream.on_zone_shortfall = ZoneShortfall::kAcceptDegraded;
  const auto back = DecodeStream(Encode(stream));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->name, stream.name);
  EXPECT_EQ(back->partitions, 12u);
  EXPECT_EQ(back->copies, 5);
  EXPECT_EQ(back->ack_copies, 3);
  EXPECT_EQ(back->ack_zones, 2);
  EXPECT_EQ(back->codec, Codec::kLz4);
  EXPECT_EQ(back->on_zone_shortfall, ZoneShortfall::kAcceptDegraded);
}

TEST(Records, ChainComesBackAsItWasWritten) {
  const auto back = DecodeChain(Encode(AChain()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, AChain());
}

TEST(Records, SetAsideComesBackAsItWasWritten) {
  const SetAsideRecord record{{{Offset(20), Offset(30), 0xdeadbeef}, {Offset(50), Offset(51), 7}}};
  const auto back = DecodeSetAside(Encode(record));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, record);
  EXPECT_EQ(SetAsideKey({StreamId("web"), 3}), "set-aside/web/3");
}

TEST(Records, SetAsideThatNamesNoBlockIsRefused) {
  const std::string good = Encode(SetAsideRecord{{{Offset(20), Offset(30), 0xdeadbeef}}});
  ExpectDataLoss(DecodeSetAside(Replaced(good, "deadbeef", "beef")), "8 hex digits");
  ExpectDataLoss(DecodeSetAside(Replaced(good, "30", "20")), "ends where it begins");
}

TEST(Records, MaintenanceComesBackAsItWasWritten) {
  for (const auto& record :
       {MaintenanceRecord{MaintenanceRecord::Of::kZone, "c", true, NodeId()},
        MaintenanceRecord{MaintenanceRecord::Of::kNode, "a1", false, NodeId("a2")}}) {
    const auto back = DecodeMaintenance(Encode(record));
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, record);
  }
  EXPECT_EQ(MaintenanceKey({MaintenanceRecord::Of::kZone, "c", true, NodeId()}),
            "maintenance/zone/c");
}

TEST(Records, MaintenanceOfAnUnknownKindIsRefused) {
  ExpectDataLoss(DecodeMaintenance(R"({"format":1,"leaving":true,"name":"x","of":"rack"})"),
                 "neither node nor zone");
  ExpectDataLoss(DecodeMaintenance(R"({"format":2,"leaving":true,"name":"x","of":"node"})"),
                 "written by a newer version; upgrade this node");
}

TEST(Records, AreTheBytesOfTheFormatDocument) {
  EXPECT_EQ(Encode(ANode()),
            R"({"address":"127.0.0.1:4000","draining":true,"format":1,"id":"a1",)"
            R"("incarnation":"fedcba9876543210","life":"fedcba987654320f","zone":"a"})");
  EXPECT_EQ(Encode(Chain{{ASegment(2, 9, std::nullopt)}}),
            R"({"format":1,"segments":[{"ack_copies":2,"ack_zones":2,"base":9,"epoch":2,)"
            R"("owner":"a1","owner_life":"fedcba9876543210","replicas":[)"
            R"({"incarnation":"fedcba9876543210","node":"a1","zone":"a"},)"
            R"({"incarnation":"0000000000000007","node":"b1","zone":"b"}]}]})");
  EXPECT_EQ(Encode(MaintenanceRecord{MaintenanceRecord::Of::kNode, "a1", true, NodeId("a2")}),
            R"({"format":1,"leaving":true,"name":"a1","of":"node","replacement":"a2"})");
}

TEST(Records, KeysNameThePartition) {
  const PartitionId partition{StreamId("web.dead-letter"), 12};
  EXPECT_EQ(ChainKey(partition), "chains/web.dead-letter/12");
  EXPECT_EQ(*PartitionOfChainKey(ChainKey(partition)), partition);
  EXPECT_EQ(NodeKey(NodeId("a1")), "nodes/a1");
  EXPECT_EQ(StreamKey(StreamId("web")), "streams/web");
}

TEST(Records, WhatIsNotTheKeyOfAChainIsRefused) {
  for (const char* key :
       {"", "chains/", "chains/web", "chains/web/", "chains//3", "nodes/web/3", "chains/web/x",
        "chains/web/-1", "chains/web/+3", "chains/web/03", "chains/web/65536", "chains/web/3 "}) {
    EXPECT_FALSE(PartitionOfChainKey(key).ok()) << key;
  }
}

TEST(Records, ToleratesFieldsOfLaterVersions) {
  const std::string text = Replaced(Encode(ANode()), "{", R"({"color":"blue",)");
  const auto back = DecodeNode(text);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, ANode());
}

TEST(Records, RefusesANewerFormatAndSaysWhatToDo) {
  const std::string text = Replaced(Encode(AChain()), R"("format":1)", R"("format":2)");
  ExpectDataLoss(DecodeChain(text), "format 2");
  ExpectDataLoss(DecodeChain(text), "upgrade this node");
}

TEST(Records, DamageIsNamed) {
  const std::string node = Encode(ANode());
  ExpectDataLoss(DecodeNode(""), "not JSON");
  ExpectDataLoss(DecodeNode(node.substr(0, node.size() / 2)), "not JSON");
  ExpectDataLoss(DecodeNode("[1]"), "not a JSON object");
  ExpectDataLoss(DecodeNode("{}"), "\"format\"");
  ExpectDataLoss(DecodeNode(Replaced(node, R"("zone":"a")", R"("zine":"a")")), "\"zone\"");
  ExpectDataLoss(DecodeNode(Replaced(node, R"("zone":"a")", R"("zone":"")")), "\"zone\"");
  ExpectDataLoss(DecodeNode(Replaced(node, R"("zone":"a")", R"("zone":3)")), "\"zone\"");
  ExpectDataLoss(DecodeNode(Replaced(node, "true", "1")), "\"draining\"");
  ExpectDataLoss(DecodeNode(Replaced(node, "fedcba9876543210", "fedcba987654321")), "16 hex");
  ExpectDataLoss(DecodeNode(Replaced(node, "fedcba9876543210", "fedcba987654321g")), "16 hex");
}

TEST(Records, AStreamThatNoNodeCouldServeIsRefused) {
  StreamOptions stream;
  stream.name = StreamId("web");
  const std::string text = Encode(stream);
  ExpectDataLoss(DecodeStream(Replaced(text, R"("partitions":6)", R"("partitions":0)")),
                 "\"partitions\" is 0");
  ExpectDataLoss(DecodeStream(Replaced(text, R"("partitions":6)", R"("partitions":-1)")),
                 "\"partitions\" is -1");
  ExpectDataLoss(DecodeStream(Replaced(text, R"("copies":3)", R"("copies":1)")), "ack_copies");
  ExpectDataLoss(DecodeStream(Replaced(text, "zstd", "brotli")), "codec 'brotli'");
  ExpectDataLoss(DecodeStream(Replaced(text, "reject", "panic")), "on_zone_shortfall 'panic'");
}

// G1, G10: a chain that does not join up would hide or repeat offsets; it is damage, not "nothing".
TEST(Records, AChainThatDoesNotJoinUpIsDamage) {
  const std::string text = Encode(AChain());
  ExpectDataLoss(DecodeChain(R"({"format":1,"segments":[]})"), "\"segments\"");
  ExpectDataLoss(DecodeChain(Replaced(text, R"("end":100)", R"("end":99)")),
                 "begins at 100, but the one before it ends at 99");
  ExpectDataLoss(DecodeChain(Replaced(text, R"("base":0)", R"("base":101)")), "before its base");
  ExpectDataLoss(DecodeChain(Replaced(text, R"("epoch":4)", R"("epoch":1)")), "epochs must rise");
  ExpectDataLoss(DecodeChain(Replaced(text, R"("epoch":1)", R"("epoch":0)")), "\"epoch\" is 0");
  ExpectDataLoss(DecodeChain(Replaced(text, R"("end":100,)", "")), "must have an end");
  ExpectDataLoss(DecodeChain(Replaced(text, R"("epoch":5)", R"("epoch":5,"end":200)")),
                 "must be open");
  ExpectDataLoss(DecodeChain(Replaced(text, R"("node":"b1")", R"("node":"a1")")), "twice");
  ExpectDataLoss(DecodeChain(Replaced(text, R"("ack_zones":2)", R"("ack_zones":3)")),
                 "3 zones in 2 copies");
  ExpectDataLoss(DecodeChain(Replaced(text, R"("base":0)", R"("base":1.5)")), "\"base\" is 1.5");
}

TEST(RecordsDeathTest, AChainThatDoesNotJoinUpIsNeverWritten) {
  Chain chain = AChain();
  chain.segments[0].end = Offset(99);
  EXPECT_DEATH(Encode(chain), "begins at 100");
}

}  // namespace
}  // namespace forebay
