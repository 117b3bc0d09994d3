// One contract for all sinks that hold progress, on the shipped sinks and on the double.
#include "sink_contract.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace forebay {
namespace {

using testing::HasSubstr;

// One server for the program, started when first needed; nullptr where there is none.
PostgresServer* Server() {
  static const std::unique_ptr<PostgresServer> server = PostgresServer::Start();
  return server.get();
}

struct Kind {
  const char* name;
  std::function<std::unique_ptr<SinkWorld>()> make;  // nullptr: cannot run here
};

class SinkContract : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    world_ = GetParam().make();
    if (world_ == nullptr) GTEST_SKIP() << "no PostgreSQL server to start; see stderr";
    sink_ = world_->NewSink();
  }

  uint64_t Opened(Sink& sink, uint64_t epoch) { return Opened(sink, partition_, epoch); }
  uint64_t Opened(Sink& sink, const PartitionId& partition, uint64_t epoch) {
    auto progress = sink.Open(partition, Epoch(epoch));
    EXPECT_TRUE(progress.ok()) << progress.status();
    if (!progress.ok() || !progress->next) return UINT64_MAX;
    return progress->next->value();
  }
  absl::Status Deliver(Sink& sink, uint64_t epoch, uint64_t first, uint64_t end) {
    return sink.Deliver(BatchOf(partition_, epoch, first, end));
  }
  void ExpectRows(uint64_t count, std::vector<uint64_t> missing = {}) {
    std::vector<std::string> got, want;
    for (const SeenRow& row : world_->Rows(partition_)) {
      got.push_back(std::to_string(row.offset) + "=" + row.id);
    }
    for (uint64_t i = 0; i < count; i++) {
      if (std::find(missing.begin(), missing.end(), i) != missing.end()) continue;
      want.push_back(std::to_string(i) + "=" + std::to_string(i));
    }
    EXPECT_EQ(got, want);
  }

  const PartitionId partition_{StreamId("web"), 7};
  std::unique_ptr<SinkWorld> world_;
  std::shared_ptr<Sink> sink_;
};

TEST_P(SinkContract, StartsAtOffsetZero) {
  EXPECT_EQ(Opened(*sink_, 1), 0u);
  EXPECT_TRUE(sink_->HoldsProgress());
}

TEST_P(SinkContract, HoldsProgressAndEventsTogether) {
  Opened(*sink_, 1);
  ASSERT_TRUE(Deliver(*sink_, 1, 0, 3).ok());
  ASSERT_TRUE(Deliver(*sink_, 1, 3, 10).ok());
  ExpectRows(10);
  EXPECT_EQ(Opened(*sink_, 1), 10u);
  EXPECT_EQ(Opened(*world_->NewSink(), 2), 10u);
}

TEST_P(SinkContract, ARepeatedBatchHasNoEffect) {
  Opened(*sink_, 1);
  ASSERT_TRUE(Deliver(*sink_, 1, 0, 5).ok());
  EXPECT_TRUE(absl::IsOutOfRange(Deliver(*sink_, 1, 0, 5)));
  EXPECT_TRUE(absl::IsOutOfRange(Deliver(*sink_, 1, 3, 8)));
  ExpectRows(5);
  EXPECT_EQ(Opened(*sink_, 1), 5u);
}

TEST_P(SinkContract, RefusesAGap) {
  Opened(*sink_, 1);
  ASSERT_TRUE(Deliver(*sink_, 1, 0, 5).ok());
  EXPECT_TRUE(absl::IsOutOfRange(Deliver(*sink_, 1, 6, 8)));
  ExpectRows(5);
}

// G5: an old owner that comes back.
TEST_P(SinkContract, AnOldOwnerHasNoEffectOnceANewOneHasOpened) {
  Opened(*sink_, 1);
  ASSERT_TRUE(Deliver(*sink_, 1, 0, 5).ok());
  auto successor = world_->NewSink();
  EXPECT_EQ(Opened(*successor, 2), 5u);
  EXPECT_TRUE(absl::IsFailedPrecondition(Deliver(*sink_, 1, 5, 8)));
  EXPECT_TRUE(absl::IsFailedPrecondition(sink_->Skip(BatchOf(partition_, 1, 5, 6))));
  EXPECT_TRUE(absl::IsFailedPrecondition(sink_->Open(partition_, Epoch(1)).status()));
  ASSERT_TRUE(Deliver(*successor, 2, 5, 9).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Deliver(*sink_, 1, 5, 8)));
  ExpectRows(9);
}

TEST_P(SinkContract, NobodyDeliversWithoutOpening) {
  EXPECT_FALSE(Deliver(*sink_, 1, 0, 5).ok());
  Opened(*sink_, 1);
  EXPECT_TRUE(absl::IsOutOfRange(Deliver(*sink_, 2, 0, 5)));
  ExpectRows(0);
}

// G5: a commit whose answer was lost shows in the progress of the next Open, at the same epoch too.
TEST_P(SinkContract, ACommitWithoutAnAnswerIsSeenByTheNextOpen) {
  Opened(*sink_, 1);
  ASSERT_TRUE(Deliver(*sink_, 1, 0, 5).ok());  // the caller dies before it hears this
  auto restarted = world_->NewSink();
  EXPECT_EQ(Opened(*restarted, 1), 5u);
  ASSERT_TRUE(Deliver(*restarted, 1, 5, 6).ok());
  ExpectRows(6);
}

TEST_P(SinkContract, TwoInstancesOfOneEpochDeliverEachEventOnce) {
  auto other = world_->NewSink();
  Opened(*sink_, 1);
  Opened(*other, 1);
  ASSERT_TRUE(Deliver(*sink_, 1, 0, 5).ok());
  EXPECT_TRUE(absl::IsOutOfRange(Deliver(*other, 1, 0, 7)));
  EXPECT_EQ(Opened(*other, 1), 5u);
  ASSERT_TRUE(Deliver(*other, 1, 5, 7).ok());
  ExpectRows(7);
}

// A block that nobody can decode: a range, and no events.
TEST_P(SinkContract, SkipMovesPastARangeWithoutEvents) {
  Opened(*sink_, 1);
  ASSERT_TRUE(Deliver(*sink_, 1, 0, 3).ok());
  OwnedBatch gap = BatchOf(partition_, 1, 3, 7);
  gap.events.clear();
  ASSERT_TRUE(sink_->Skip(gap).ok());
  EXPECT_TRUE(absl::IsOutOfRange(sink_->Skip(gap)));
  EXPECT_EQ(Opened(*world_->NewSink(), 2), 7u);
  EXPECT_TRUE(absl::IsFailedPrecondition(sink_->Skip(BatchOf(partition_, 1, 7, 8))));
  OwnedBatch rest = BatchOf(partition_, 2, 7, 9);
  auto successor = world_->NewSink();
  Opened(*successor, 2);
  ASSERT_TRUE(successor->Deliver(rest).ok());
  ExpectRows(9, {3, 4, 5, 6});
}

TEST_P(SinkContract, SkipMovesPastAnEventWithoutIt) {
  Opened(*sink_, 1);
  ASSERT_TRUE(Deliver(*sink_, 1, 0, 3).ok());
  ASSERT_TRUE(sink_->Skip(BatchOf(partition_, 1, 3, 4)).ok());
  EXPECT_TRUE(absl::IsOutOfRange(sink_->Skip(BatchOf(partition_, 1, 3, 4))));
  EXPECT_EQ(Opened(*world_->NewSink(), 1), 4u);
  ASSERT_TRUE(Deliver(*sink_, 1, 4, 6).ok());
  ExpectRows(6, {3});
}

TEST_P(SinkContract, KeepsPartitionsAndStreamsApart) {
  const PartitionId other{StreamId("web"), 8}, third{StreamId("orders"), 7};
  Opened(*sink_, 1);
  EXPECT_EQ(Opened(*sink_, other, 5), 0u);
  EXPECT_EQ(Opened(*sink_, third, 9), 0u);
  ASSERT_TRUE(Deliver(*sink_, 1, 0, 5).ok());
  ASSERT_TRUE(sink_->Deliver(BatchOf(other, 5, 0, 2)).ok());
  EXPECT_EQ(Opened(*sink_, third, 9), 0u);
  EXPECT_EQ(world_->Rows(other).size(), 2u);
  EXPECT_EQ(world_->Rows(third).size(), 0u);
  ExpectRows(5);
}

TEST_P(SinkContract, TakesEventsOfAnyContent) {
  std::vector<Event> events;
  for (const char* payload : {"", "{\"a\":\"tab\\t\"}", "tab\t back\\slash \\N \\. \r",
                              "text \"q\"", "\xC3\xA9\xF0\x9F\x98\x80", "\xFF\xFE not UTF-8"}) {
    Event event = MakeEvent("id '" + std::to_string(events.size()) + "' \\ \"\t\n\xC3\xA9");
    event.key = "\\N";
    event.payload = payload;
    event.attributes = {{"a\"\\\n", "\x01\x1F"}, {"\xC3\xA9", ""}};
    events.push_back(event);
  }
  events.push_back(MakeEvent("nul"));
  events.back().payload = std::string("\0nul\0", 5);
  events.push_back(MakeEvent("no time"));
  events.back().time = absl::InfinitePast();
  events.push_back(MakeEvent("long ago"));
  events.back().time = absl::FromUnixNanos(INT64_MIN);
  events.push_back(MakeEvent("large"));
  events.back().payload = std::string(EventLimits::kPayloadBytesMax, 'x');
  Opened(*sink_, 1);
  absl::Status delivered = sink_->Deliver(BatchOf(partition_, 1, 0, events));
  ASSERT_TRUE(delivered.ok()) << delivered;
  const auto rows = world_->Rows(partition_);
  ASSERT_EQ(rows.size(), events.size());
  for (size_t i = 0; i < events.size(); i++) {
    EXPECT_EQ(rows[i],
              (SeenRow{i, events[i].id, events[i].key, events[i].type, events[i].payload}));
  }
}

// Two owners that take turns, over a sink that loses requests and answers.
TEST_P(SinkContract, DrainsExactlyOnceThroughFaultsAndReturningOwners) {
  Simulation simulation;
  DrainLog log;
  log.Append(400, 7);
  std::vector<std::unique_ptr<DrainNode>> nodes;
  for (uint64_t seed : {1u, 2u, 3u}) {
    SinkBinding binding;
    binding.name = kSinkName;
    binding.stream = partition_.stream;
    binding.batch_events_max = 25;
    binding.sink = std::make_shared<UnreliableSink>(world_->NewSink(), seed);
    nodes.push_back(std::make_unique<DrainNode>(simulation, log, std::vector{binding}, seed));
  }
  uint64_t epoch = 0;
  for (uint64_t committed = 20; committed <= 400; committed += 20) {
    if (committed % 60 == 20) epoch++;
    // The owners before hear of it too, late: they do not know that they are not.
    for (uint64_t back = 0; back < 3 && back < epoch; back++) {
      nodes[(epoch - back) % 3]->drain->OnCommitted(partition_, Epoch(epoch - back),
                                                    Offset(committed));
    }
    simulation.RunFor(absl::Milliseconds(300));
  }
  DrainNode& last = *nodes[epoch % 3];
  ASSERT_TRUE(
      simulation.RunUntilTrue([&] { return last.Status().cursor == Offset(400); }, absl::Hours(1)))
      << last.Status().last_error;
  ExpectRows(400);
}

INSTANTIATE_TEST_SUITE_P(
    All, SinkContract,
    testing::Values(Kind{"Memory", [] { return std::make_unique<MemorySinkWorld>(); }},
                    Kind{"Sqlite", [] { return std::make_unique<SqliteSinkWorld>(); }},
                    Kind{"Files", [] { return std::make_unique<FilesSinkWorld>(); }},
                    Kind{"Postgres",
                         []() -> std::unique_ptr<SinkWorld> {
                           if (Server() == nullptr) return nullptr;
                           return std::make_unique<PostgresSinkWorld>(*Server());
                         }}),
    [](const testing::TestParamInfo<Kind>& kind) { return kind.param.name; });

}  // namespace
}  // namespace forebay
