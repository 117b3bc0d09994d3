// The judge of every drill: each kind of damage is seen, and nothing else is called damage.
#include "drill/drill_verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace forebay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1'000'000);

absl::Time At(int milliseconds) { return kStart + absl::Milliseconds(milliseconds); }

// Sent at `sent` ms and acknowledged 1 ms later, in partition 0.
DrillEvent Acked(const std::string& id, uint64_t offset, int sent = 0) {
  return {.id = id, .sent = At(sent), .acknowledged = DrillAck{0, offset, At(sent + 1)}};
}

DrillEvent Unanswered(const std::string& id) {
  return {.id = id, .sent = At(0), .acknowledged = {}};
}

DrillVerdict JudgeOne(const DrillLog& log, const std::vector<SinkRow>& rows) {
  return Judge(std::vector<DrillLog>{log}, rows, std::nullopt);
}

TEST(DrillVerdict, IsCleanWhenEveryEventArrivedOnceInOrder) {
  const DrillVerdict verdict = JudgeOne({Acked("a", 0), Acked("b", 1)}, {{0, 0, "a"}, {0, 1, "b"}});
  EXPECT_TRUE(verdict.ExactlyOnce());
  EXPECT_EQ(verdict.sent, 2u);
  EXPECT_EQ(verdict.acknowledged, 2u);
  EXPECT_EQ(verdict.delivered, 2u);
  EXPECT_TRUE(verdict.examples.empty());
}

TEST(DrillVerdict, CountsAnAcknowledgedEventThatIsMissingAsLost) {
  const DrillVerdict verdict = JudgeOne({Acked("a", 0), Acked("b", 1)}, {{0, 0, "a"}});
  EXPECT_EQ(verdict.lost, 1u);
  EXPECT_FALSE(verdict.ExactlyOnce());
  EXPECT_THAT(verdict.examples, ElementsAre(HasSubstr("lost: event 'b'")));
}

TEST(DrillVerdict, DoesNotCallAnEventLostThatWasNeverAcknowledged) {
  const DrillVerdict verdict = JudgeOne({Acked("a", 0), Unanswered("b")}, {{0, 0, "a"}});
  EXPECT_EQ(verdict.lost, 0u);
  EXPECT_EQ(verdict.sent, 2u);
  EXPECT_EQ(verdict.acknowledged, 1u);
}

TEST(DrillVerdict, DeliversAnUnansweredEventWithoutComplaint) {
  EXPECT_TRUE(JudgeOne({Unanswered("a")}, {{0, 0, "a"}}).ExactlyOnce());
}

TEST(DrillVerdict, CountsEveryFurtherRowOfAnEventAsDuplicated) {
  const DrillVerdict verdict = JudgeOne({Acked("a", 0)}, {{0, 0, "a"}, {0, 1, "a"}, {0, 2, "a"}});
  EXPECT_EQ(verdict.duplicated, 2u);
  EXPECT_EQ(verdict.delivered, 1u);
  EXPECT_EQ(verdict.out_of_order, 0u);
}

TEST(DrillVerdict, SeesOffsetsThatGoBack) {
  const DrillVerdict verdict =
      JudgeOne({Unanswered("a"), Unanswered("b")}, {{0, 5, "a"}, {0, 4, "b"}});
  EXPECT_EQ(verdict.out_of_order, 1u);
}

TEST(DrillVerdict, SeesAProducersEventsSwappedWithinAPartition) {
  const DrillVerdict verdict =
      JudgeOne({Unanswered("a"), Unanswered("b")}, {{0, 0, "b"}, {0, 1, "a"}});
  EXPECT_EQ(verdict.out_of_order, 1u);
}

TEST(DrillVerdict, AllowsAnyOrderAcrossPartitions) {
  EXPECT_TRUE(
      JudgeOne({Unanswered("a"), Unanswered("b")}, {{1, 0, "b"}, {0, 0, "a"}}).ExactlyOnce());
}

TEST(DrillVerdict, SeesAnEventElsewhereThanItWasAcknowledged) {
  EXPECT_EQ(JudgeOne({Acked("a", 3)}, {{0, 4, "a"}}).out_of_order, 1u);
  EXPECT_EQ(JudgeOne({Acked("a", 3)}, {{1, 3, "a"}}).out_of_order, 1u);
}

TEST(DrillVerdict, SeesRowsThatNobodySent) {
  const DrillVerdict verdict = JudgeOne({}, {{0, 0, "ghost"}});
  EXPECT_EQ(verdict.never_sent, 1u);
  EXPECT_FALSE(verdict.ExactlyOnce());
}

TEST(DrillVerdict, FindsTheLongestTimeWithoutAnAcknowledgement) {
  const DrillVerdict verdict = JudgeOne({Acked("a", 0, 0), Acked("b", 1, 100), Acked("c", 2, 850)},
                                        {{0, 0, "a"}, {0, 1, "b"}, {0, 2, "c"}});
  EXPECT_DOUBLE_EQ(verdict.ack_gap_ms_max, 750);
}

TEST(DrillVerdict, CountsTheWaitForTheFirstAcknowledgementAsAGap) {
  DrillEvent slow = Acked("a", 0);
  slow.acknowledged->at = At(400);
  EXPECT_DOUBLE_EQ(JudgeOne({slow}, {{0, 0, "a"}}).ack_gap_ms_max, 400);
}

TEST(DrillVerdict, MeasuresTakeoverOnEventsSentAfterTheFaultOnItsPartitions) {
  DrillEvent late_answer = Acked("old", 0, 90);  // sent before the fault, acknowledged after it
  late_answer.acknowledged->at = At(110);
  DrillEvent elsewhere = Acked("elsewhere", 0, 105);
  elsewhere.acknowledged->partition = 1;
  const DrillLog log = {late_answer, elsewhere, Acked("new", 1, 600)};
  const DrillFault fault{.began = At(100), .complete = At(101), .partitions = {0}};
  EXPECT_DOUBLE_EQ(*Judge(std::vector<DrillLog>{log}, {}, fault).takeover_ms, 501);
  EXPECT_FALSE(Judge(std::vector<DrillLog>{log}, {}, std::nullopt).takeover_ms.has_value());
}

TEST(DrillVerdict, MeasuresWhenTheLastPartitionWasTakenOver) {
  DrillEvent second = Acked("second", 0, 900);
  second.acknowledged->partition = 1;
  const std::vector<DrillLog> logs = {{Acked("first", 0, 600), second}};
  DrillFault fault{.began = At(100), .complete = At(100), .partitions = {0, 1}};
  EXPECT_DOUBLE_EQ(*Judge(logs, {}, fault).takeover_ms, 501);
  EXPECT_DOUBLE_EQ(*Judge(logs, {}, fault).takeover_all_ms, 801);
  fault.partitions.insert(2);
  EXPECT_FALSE(Judge(logs, {}, fault).takeover_all_ms.has_value());
}

TEST(DrillVerdict, ShowsAFewExamplesOnly) {
  DrillLog log;
  for (int i = 0; i < 100; ++i) log.push_back(Acked("e" + std::to_string(i), i));
  const DrillVerdict verdict = JudgeOne(log, {});
  EXPECT_EQ(verdict.lost, 100u);
  EXPECT_EQ(verdict.examples.size(), 5u);
}

// Acknowledged in this partition at that time.
DrillEvent AckedAt(uint32_t partition, int at) {
  return {.id = "", .sent = At(0), .acknowledged = DrillAck{partition, 0, At(at)}};
}

AckGaps GapsOf(const std::vector<DrillLog>& logs, int from, int to) {
  return GapsDuring(logs, {{At(from), At(to)}}).front();
}

TEST(AckGaps, OfAProducerIsTheLongestThatOverlapsTheSpan) {
  const DrillLog log = {AckedAt(0, 0), AckedAt(0, 10), AckedAt(0, 100), AckedAt(0, 400)};
  EXPECT_EQ(GapsOf({log}, 20, 30).producer_ms, 90);
  EXPECT_EQ(GapsOf({log}, 20, 150).producer_ms, 300);
  EXPECT_EQ(GapsOf({log}, 1, 9).producer_ms, 10);
}

TEST(AckGaps, OfAPartitionCountsAllProducersTogether) {
  const DrillLog one = {AckedAt(0, 0), AckedAt(1, 50), AckedAt(0, 100)};
  const DrillLog other = {AckedAt(0, 60)};
  const AckGaps gaps = GapsOf({one, other}, 10, 90);
  EXPECT_EQ(gaps.producer_ms, 50);
  EXPECT_EQ(gaps.partition_ms, 60);
}

TEST(AcksDuring, CountsThoseOfTheSpanAndFindsTheFirstOfAnEventSentInTheFault) {
  // Acknowledged in the fault, but sent before it; then one that was sent in it.
  const DrillLog log = {Acked("a", 0, 10),
                        {.id = "b", .sent = At(20), .acknowledged = DrillAck{0, 1, At(60)}},
                        {.id = "c", .sent = At(55), .acknowledged = DrillAck{0, 2, At(90)}},
                        Unanswered("d")};
  const AckSpan span{.from = At(30), .to = At(100), .began = At(40), .in_effect = At(50)};
  const std::vector<DrillLog> logs = {log};
  const AcksDuring acks = AcknowledgedDuring(logs, {span}).front();
  EXPECT_EQ(acks.events, 2u);
  EXPECT_EQ(acks.first_ms, 50);
}

TEST(AcksDuring, HasNoFirstWhenItCameAfterTheSpan) {
  const std::vector<DrillLog> logs = {{Acked("a", 0, 70)}};
  const AckSpan span{.from = At(0), .to = At(60), .began = At(40), .in_effect = At(50)};
  EXPECT_EQ(AcknowledgedDuring(logs, {span}).front().first_ms, std::nullopt);
}

TEST(AckGaps, IsNothingWithoutAcknowledgements) {
  EXPECT_EQ(GapsOf({{Unanswered("a")}}, 0, 10).producer_ms, 0);
}

TEST(AcknowledgedEachSecond, CountsFromTheStart) {
  const DrillLog log = {AckedAt(0, 0), AckedAt(0, 999), AckedAt(0, 2'001)};
  EXPECT_THAT(AcknowledgedEachSecond(std::vector<DrillLog>{log}, At(0)), ElementsAre(2, 0, 1));
}

}  // namespace
}  // namespace forebay
