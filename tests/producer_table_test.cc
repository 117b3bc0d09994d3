#include "replication/core/producer_table.h"

#include <gtest/gtest.h>

namespace forebay {
namespace {

using Kind = ProducerVerdict::Kind;

BlockStamp Stamp(uint64_t sequence, uint64_t epoch = 0) {
  return {ProducerId("p"), epoch, sequence};
}

TEST(ProducerTable, KnowsARepeatAndWhereTheOriginalIs) {  // G3
  ProducerTable table;
  table.Apply(Stamp(0), 10, Offset(100));
  table.Apply(Stamp(10), 5, Offset(200));
  EXPECT_EQ(table.Check(Stamp(10), 5).kind, Kind::kRepeat);
  EXPECT_EQ(table.Check(Stamp(10), 5).offset, Offset(200));
  EXPECT_EQ(table.Check(Stamp(0), 10).offset, Offset(100));
  EXPECT_EQ(table.Check(Stamp(15), 1).kind, Kind::kNew);
}

TEST(ProducerTable, CallsAGapByItsNameAndSaysWhatItExpects) {
  ProducerTable table;
  EXPECT_EQ(table.Check(Stamp(1), 1).kind, Kind::kGap);
  EXPECT_EQ(table.Check(Stamp(1), 1).expected, 0u);
  table.Apply(Stamp(0), 10, Offset(0));
  EXPECT_EQ(table.Check(Stamp(12), 1).kind, Kind::kGap);
  EXPECT_EQ(table.Check(Stamp(12), 1).expected, 10u);
}

TEST(ProducerTable, ABlockCutDifferentlyIsNoRepeat) {
  ProducerTable table;
  table.Apply(Stamp(0), 10, Offset(0));
  EXPECT_EQ(table.Check(Stamp(0), 9).kind, Kind::kOtherCut);
  EXPECT_EQ(table.Check(Stamp(3), 7).kind, Kind::kOtherCut);
}

TEST(ProducerTable, SaysWhichSequencesOfABlockAreStored) {  // G2
  ProducerTable table;
  table.Apply(Stamp(0), 10, Offset(0));
  EXPECT_EQ(table.Check(Stamp(5), 10).kind, Kind::kPartly);
  EXPECT_EQ(table.Check(Stamp(5), 10).expected, 10u);
}

TEST(ProducerTable, CallsWhatIsBehindStoredHoweverLongAgo) {  // G2, guard repeat-stored
  ProducerTable table;
  for (uint64_t i = 0; i < 40; i++) table.Apply(Stamp(i), 1, Offset(100 + i));
  const ProducerVerdict old = table.Check(Stamp(3), 1);
  EXPECT_EQ(old.kind, Kind::kStored);
  // True once all that came before the oldest that is remembered is committed.
  EXPECT_EQ(old.stored_to, Offset(100 + 40 - ProducerTable::kBlocksKept));
  EXPECT_EQ(table.Check(Stamp(39), 1).stored_to, Offset(140));
}

TEST(ProducerTable, KnowsHowFarItsFencedEpochsCame) {  // G2, guard fenced-stored
  ProducerTable table;
  for (uint64_t i = 0; i < 3; i++) table.Apply(Stamp(i), 1, Offset(i));
  table.Apply(Stamp(0, 7), 1, Offset(3));
  EXPECT_EQ(table.Check(Stamp(1), 2).kind, Kind::kStored);
  EXPECT_EQ(table.Check(Stamp(1), 2).stored_to, Offset(3));
  EXPECT_EQ(table.Check(Stamp(2), 2).kind, Kind::kPartly);
  EXPECT_EQ(table.Check(Stamp(3), 1).kind, Kind::kFenced);
  EXPECT_EQ(table.Check(Stamp(0, 5), 1).kind, Kind::kFenced);  // it never stored anything
  for (uint64_t epoch = 8; epoch < 20; epoch++) table.Apply(Stamp(0, epoch), 1, Offset(epoch));
  EXPECT_EQ(table.Check(Stamp(0), 1).kind, Kind::kForgotten);
  EXPECT_EQ(table.Check(Stamp(0, 18), 1).kind, Kind::kStored);
}

TEST(ProducerTable, TellsOtherEventsUnderItsSequencesFromARepeat) {  // G3, guard sequence-reused
  ProducerTable table;
  table.Apply(Stamp(0), 1, Offset(0), BlockMark{1, 10});
  const auto kind = [&](BlockMark mark) { return table.Check(Stamp(0), 1, mark).kind; };
  EXPECT_EQ(kind({1, 10}), Kind::kRepeat);
  EXPECT_EQ(kind({2, 10}), Kind::kRepeat);  // other bytes, the same events
  EXPECT_EQ(kind({2, 11}), Kind::kDiffers);
  EXPECT_EQ(kind({2, std::nullopt}), Kind::kRepeat);  // nobody can tell
  ProducerTable rebuilt;                              // from the log, where nobody has decoded it
  rebuilt.Apply(Stamp(0), 1, Offset(0), BlockMark{1, std::nullopt});
  EXPECT_EQ(rebuilt.Check(Stamp(0), 1, BlockMark{2, 11}).kind, Kind::kRepeat);
  rebuilt.SetDigest(Stamp(0), Offset(0), 10);
  EXPECT_EQ(rebuilt.Check(Stamp(0), 1, BlockMark{2, 11}).kind, Kind::kDiffers);
}

TEST(ProducerTable, AHigherEpochStartsAnewAndFencesTheLower) {
  ProducerTable table;
  table.Apply(Stamp(0), 10, Offset(0));
  EXPECT_EQ(table.Check(Stamp(0, 1), 1).kind, Kind::kNew);
  table.Apply(Stamp(0, 1), 1, Offset(10));
  EXPECT_EQ(table.Check(Stamp(10), 1).kind, Kind::kFenced);
}

TEST(ProducerTable, ComesBackFromItsSnapshotTheSame) {
  ProducerTable table;
  for (uint64_t i = 0; i < 40; i++) table.Apply(Stamp(i * 300), 300, Offset(i * 1000));
  table.Apply({ProducerId("other"), 9, 0}, 1, Offset(7), BlockMark{3, std::nullopt});
  for (uint64_t epoch = 10; epoch < 20; epoch++) {
    table.Apply({ProducerId("other"), epoch, 0}, 1, Offset(epoch), BlockMark{3, 77});
  }
  const auto decoded = ProducerTable::Decode(table.Encode(ProducerTable::kFormat));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_TRUE(*decoded == table);
}

// As the build before wrote it; and what a node writes while some node reads nothing newer.
TEST(ProducerTable, ReadsAndWritesFormat1) {
  ProducerTable table;
  table.Apply({ProducerId("p"), 2, 0}, 300, Offset(1000), BlockMark{3, 77});
  const std::string bytes("\x01\x01\x01p\x02\xac\x02\x01\x00\xac\x02\xe8\x07", 13);
  EXPECT_EQ(table.Encode(1), bytes);
  const auto decoded = ProducerTable::Decode(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->Check(Stamp(0, 2), 300, BlockMark{4, 78}).kind, Kind::kRepeat);
  EXPECT_EQ(decoded->Check(Stamp(0, 1), 1).kind, Kind::kForgotten);
  EXPECT_EQ(decoded->Check(Stamp(0, 3), 1).kind, Kind::kNew);
}

TEST(ProducerTable, KeepsTheBytesOfFormat2) {  // docs/FORMATS.md
  ProducerTable table;
  table.Apply({ProducerId("p"), 2, 0}, 300, Offset(1000), BlockMark{3, 77});
  table.Apply({ProducerId("p"), 4, 0}, 1, Offset(1300), BlockMark{5, 6});
  const std::string bytes(
      "\x02\x01\x01p\x04\x01\x00\x01\x02\xac\x02\x94\x0a\x01\x00\x01\x94\x0a\x03\x05\x06", 21);
  EXPECT_EQ(table.Encode(2), bytes);
  const auto decoded = ProducerTable::Decode(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_TRUE(*decoded == table);
}

TEST(ProducerTable, RefusesADamagedSnapshot) {
  ProducerTable table;
  table.Apply(Stamp(0), 300, Offset(1000), BlockMark{3, 77});
  table.Apply(Stamp(0, 1), 300, Offset(1300), BlockMark{3, 77});
  const std::string good = table.Encode(ProducerTable::kFormat);
  for (size_t size = 1; size < good.size(); size++) {
    EXPECT_FALSE(ProducerTable::Decode(good.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ProducerTable::Decode(good + "x").ok());
  EXPECT_FALSE(ProducerTable::Decode("\x03" + good.substr(1)).ok());
}

TEST(ProducerTable, ForgetsOnlyProducersThatWereIdleForLong) {  // H11
  const absl::Time start = absl::UnixEpoch();
  ProducerTable table;
  table.Apply(Stamp(0), 1, Offset(0));
  table.ForgetIdle(start, absl::Hours(24));  // just loaded: its time starts now
  table.ForgetIdle(start + absl::Hours(23), absl::Hours(24));
  EXPECT_EQ(table.size(), 1u);
  table.Touch(ProducerId("p"), start + absl::Hours(23));
  table.ForgetIdle(start + absl::Hours(40), absl::Hours(24));
  EXPECT_EQ(table.size(), 1u);
  table.ForgetIdle(start + absl::Hours(48), absl::Hours(24));
  EXPECT_EQ(table.size(), 0u);
}

}  // namespace
}  // namespace forebay
