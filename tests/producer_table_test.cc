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
  EXPECT_EQ(table.Check(Stamp(0), 9).kind, Kind::kGap);
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
  table.Apply({ProducerId("other"), 9, 0}, 1, Offset(7));
  const auto decoded = ProducerTable::Decode(table.Encode());
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_TRUE(*decoded == table);
}

TEST(ProducerTable, RefusesADamagedSnapshot) {
  ProducerTable table;
  table.Apply(Stamp(0), 300, Offset(1000));
  const std::string good = table.Encode();
  for (size_t size = 1; size < good.size(); size++) {
    EXPECT_FALSE(ProducerTable::Decode(good.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ProducerTable::Decode(good + "x").ok());
  EXPECT_FALSE(ProducerTable::Decode("\x02" + good.substr(1)).ok());
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
