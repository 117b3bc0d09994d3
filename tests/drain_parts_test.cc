// The parts of the drain: worker pool, marks, batches, dead letters.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "block/json_text.h"
#include "drain/batch.h"
#include "drain/dead_letter.h"
#include "drain/marks.h"
#include "drain/worker_pool.h"
#include "runtime/random.h"
#include "support/drain_world.h"
#include "support/sim_executor.h"

namespace forebay {
namespace {

absl::Time At(int seconds) { return absl::FromUnixSeconds(1'700'000'000 + seconds); }

TEST(WorkerPool, ASinkThatHangsLeavesWorkersToTheOthers) {
  Simulation simulation;
  SimExecutor loop(simulation), a(simulation), b(simulation);
  WorkerPool pool(loop, {&a, &b}, 2);
  b.Freeze();  // the first call hangs
  int hung = 0, served = 0;
  for (int i = 0; i < 5; i++)
    pool.Run(
        0, [&] { hung++; }, [] {});
  for (int i = 0; i < 5; i++)
    pool.Run(
        1, [&] { served++; }, [] {});
  simulation.RunFor(absl::Seconds(1));
  EXPECT_EQ(hung, 0);
  EXPECT_EQ(served, 5);
  b.Thaw();
  simulation.RunFor(absl::Seconds(1));
  EXPECT_EQ(hung, 5);
}

TEST(DelayedCursor, ReleasesNothingBeforeItsTime) {
  DelayedCursor cursor(absl::Seconds(8));
  cursor.Add(At(0), Offset(10));
  EXPECT_EQ(cursor.Release(At(7)), std::nullopt);
  EXPECT_EQ(cursor.NextDue(), At(9));
  EXPECT_EQ(cursor.Release(At(9)), Offset(10));
  EXPECT_EQ(cursor.NextDue(), std::nullopt);
}

TEST(DelayedCursor, ReleasesDuringASteadyFlowAndRemembersLittle) {
  DelayedCursor cursor(absl::Seconds(8));
  for (int second = 0; second < 1000; second++) {
    cursor.Add(At(second), Offset(static_cast<uint64_t>(second)));
    const auto released = cursor.Release(At(second));
    if (second < 20) continue;
    ASSERT_TRUE(released.has_value());
    EXPECT_LE(released->value(), static_cast<uint64_t>(second - 8));
    EXPECT_GE(released->value(), static_cast<uint64_t>(second - 12));
  }
}

TEST(DelayedCursor, TakesBackWhatTheSinkLost) {
  DelayedCursor cursor(absl::Seconds(8));
  cursor.Add(At(0), Offset(10));
  cursor.Add(At(5), Offset(50));
  cursor.Add(At(6), Offset(20));
  EXPECT_EQ(cursor.Release(At(100)), Offset(20));
}

TEST(CommitTimes, TheAgeIsNeverTooYoung) {
  CommitTimes times;
  for (int second = 1; second <= 1000; second++) {
    times.Add(At(second), Offset(static_cast<uint64_t>(second)));
  }
  EXPECT_EQ(times.OldestUndelivered(), At(1));
  times.Delivered(Offset(500));
  ASSERT_TRUE(times.OldestUndelivered().has_value());
  EXPECT_LE(*times.OldestUndelivered(), At(501));
  EXPECT_GE(*times.OldestUndelivered(), At(300));
  times.Delivered(Offset(1000));
  EXPECT_EQ(times.OldestUndelivered(), std::nullopt);
}

TEST(ReadBuffer, RefusesBlocksThatDoNotContinue) {
  DrainLog log;
  log.Append(30);
  ReadBuffer buffer;
  buffer.Reset(Offset(5));
  EXPECT_TRUE(absl::IsDataLoss(buffer.Add({log.blocks[1]})));
  EXPECT_TRUE(absl::IsDataLoss(buffer.Add({log.blocks[0], log.blocks[2]})));
  EXPECT_TRUE(buffer.empty());
  EXPECT_TRUE(buffer.Add({log.blocks[0], log.blocks[1]}).ok());
  EXPECT_TRUE(absl::IsDataLoss(buffer.Add({log.blocks[1]})));
  EXPECT_EQ(buffer.end(), Offset(20));
}

TEST(ReadBuffer, CutsABlockThatAloneIsOverTheLimit) {
  DrainLog log;
  log.Append(100, 100);
  ReadBuffer buffer;
  buffer.Reset(Offset(0));
  ASSERT_TRUE(buffer.Add(log.blocks).ok());
  std::vector<std::string> ids;
  while (!buffer.empty()) {
    DrainBatch batch = buffer.Take(Offset(100), {log.blocks[0].block.raw_bytes() / 3, 1000});
    batch.Decode();
    ASSERT_FALSE(batch.bad().has_value());
    const size_t count = batch.end().value() - batch.first().value();
    EXPECT_LE(count, 34u);
    for (const Event& event : batch.Events(batch.first(), count)) ids.push_back(event.id);
  }
  ASSERT_EQ(ids.size(), 100u);
  for (size_t i = 0; i < ids.size(); i++) EXPECT_EQ(ids[i], std::to_string(i));
}

TEST(DeadLetter, KeepsTheEventExactly) {
  DeadLetter letter{"bad \xFF byte", SinkId("db"), {StreamId("web"), 2}, Offset(7), {}, 1, 1};
  letter.event = MakeEvent("a\"b\n");
  letter.event.key = "k";
  letter.event.payload = "not JSON \x01\xFE";
  letter.event.attributes = {{"x", "1"}, {"y", "\t"}};
  const auto encoded = EncodeDeadLetter(letter);
  ASSERT_EQ(encoded.size(), 1u);
  EXPECT_TRUE(ValidateEvent(encoded[0]).ok()) << ValidateEvent(encoded[0]);
  EXPECT_EQ(encoded[0].id, "db/web/2/7");
  auto parsed = ParseDeadLetter(encoded[0]);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->event, letter.event);
  EXPECT_THAT(parsed->reason, testing::HasSubstr("bad "));
  EXPECT_EQ(parsed->parts, 1u);
}

TEST(DeadLetter, SpreadsAnEventOfTheLargestSizeOverSeveral) {
  DeadLetter letter{"no", SinkId("db"), {StreamId("web"), 2}, Offset(7), {}, 1, 1};
  letter.event = MakeEvent("big");
  letter.event.payload = std::string(EventLimits::kPayloadBytesMax, '\x02');
  for (size_t i = 0; i < EventLimits::kAttributesMax; i++) {
    letter.event.attributes.emplace_back("name" + std::to_string(i), std::string(4000, '\x01'));
  }
  const auto encoded = EncodeDeadLetter(letter);
  EXPECT_GT(encoded.size(), 1u);
  std::string payload;
  for (const Event& event : encoded) {
    EXPECT_TRUE(ValidateEvent(event).ok()) << ValidateEvent(event);
    auto parsed = ParseDeadLetter(event);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->parts, encoded.size());
    EXPECT_EQ(parsed->event.attributes, letter.event.attributes);
    payload += parsed->event.payload;
  }
  EXPECT_EQ(payload, letter.event.payload);
}

TEST(DeadLetter, RefusesOtherEvents) {
  EXPECT_TRUE(absl::IsInvalidArgument(ParseDeadLetter(MakeEvent("x")).status()));
  Event event = MakeEvent("x");
  event.type = "forebay.dead-letter";
  EXPECT_TRUE(absl::IsInvalidArgument(ParseDeadLetter(event).status()));
}

// Bytes that only blocks hold which were stored before anyone checked them.
std::vector<Event> OddEvents() {
  std::vector<Event> events(5, MakeEvent("odd"));
  events[0].key = "a\xC3";
  events[1].id = std::string("nul\0", 4);
  events[2].attributes = {{"\xFF", "1"}, {"\xFF", std::string(1 << 20, 'x')}};
  events[3].type = std::string(5000, 't');
  Random random(7);
  for (int i = 0; i < 3'000'000; i++) events[4].payload += static_cast<char>(random.Next());
  return events;
}

// G8: else the letter would be refused like the event, and its sink stop for ever.
TEST(DeadLetter, OfAnyEventAtAllIsOneThatEverySinkTakes) {
  for (const Event& event : OddEvents()) {
    const DeadLetter letter{"no", SinkId("db"), {StreamId("web"), 2}, Offset(7), event, 1, 1};
    DeadLetterJoiner joiner;
    std::optional<DeadLetter> whole;
    for (const Event& part : EncodeDeadLetter(letter)) {
      EXPECT_FALSE(whole.has_value()) << "whole before its last part";
      EXPECT_TRUE(ValidateEvent(part).ok()) << ValidateEvent(part);
      for (const std::string& text : {part.id, part.key, part.type, part.payload}) {
        EXPECT_EQ(text.find('\0'), std::string::npos);
      }
      EXPECT_TRUE(CheckJson(part.payload).ok()) << CheckJson(part.payload).status();
      whole = *joiner.Add(*ParseDeadLetter(part));
    }
    ASSERT_TRUE(whole.has_value());
    EXPECT_EQ(whole->event, event);
    EXPECT_EQ(whole->reason, "no");
  }
}

TEST(DeadLetter, PartsOfSeveralAreNotMixed) {
  DeadLetter letter{"no", SinkId("db"), {StreamId("web"), 2}, Offset(7), OddEvents()[4], 1, 1};
  const std::vector<Event> first = EncodeDeadLetter(letter);
  letter.offset = Offset(9);
  const std::vector<Event> second = EncodeDeadLetter(letter);
  ASSERT_GT(first.size(), 1u);
  DeadLetterJoiner joiner;
  EXPECT_EQ(*joiner.Add(*ParseDeadLetter(first[0])), std::nullopt);
  for (size_t i = 1; i < second.size(); i++) {
    EXPECT_EQ(*joiner.Add(*ParseDeadLetter(second[i])), std::nullopt);
  }
  for (size_t i = 1; i < first.size(); i++) {
    EXPECT_EQ(joiner.Add(*ParseDeadLetter(first[i]))->has_value(), i + 1 == first.size());
  }
}

}  // namespace
}  // namespace forebay
