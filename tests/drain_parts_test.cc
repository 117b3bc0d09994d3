// The parts of the drain: worker pool, marks, batches, dead letters.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "block/event_json.h"
#include "drain/batch.h"
#include "drain/dead_letter.h"
#include "drain/marks.h"
#include "drain/worker_pool.h"
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

TEST(EventJson, ComesBackAsItWas) {
  Event event = MakeEvent("id \"\\ \x1F \xC3\xA9");
  event.key = "k";
  event.time = absl::FromUnixNanos(1'700'000'000'123'456'789);
  event.attributes = {{"b", "2"}, {"a", "1"}};
  for (const char* payload : {"", "{\"a\":[1,2.50,\"x\\n}\"],\"payload\":3}", "text", "12e400",
                              "\"quoted\"", "\xFF\x01"}) {
    event.payload = payload;
    std::string line;
    AppendEventJson(event, line);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    auto parsed = ParseEventJson(line);
    ASSERT_TRUE(parsed.ok()) << parsed.status() << " " << line;
    EXPECT_EQ(*parsed, event) << line;
  }
}

TEST(EventJson, KeepsAPayloadOfSeveralLinesOnOne) {
  Event event = MakeEvent("x");
  event.payload = "{\n  \"a\": 1\r\n}";
  std::string line;
  AppendEventJson(event, line);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  auto parsed = ParseEventJson(line);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->payload, "{   \"a\": 1  }");
}

TEST(EventJson, SaysWhatIsWrong) {
  EXPECT_THAT(ParseEventJson("{").status().message(), testing::HasSubstr("JSON"));
  EXPECT_THAT(ParseEventJson("[]").status().message(), testing::HasSubstr("object"));
  EXPECT_THAT(ParseEventJson("{\"id\":1}").status().message(), testing::HasSubstr("'id'"));
  EXPECT_THAT(ParseEventJson("{\"ids\":\"1\"}").status().message(), testing::HasSubstr("'ids'"));
  EXPECT_THAT(ParseEventJson("{\"time\":\"noon\"}").status().message(), testing::HasSubstr("noon"));
}

}  // namespace
}  // namespace forebay
