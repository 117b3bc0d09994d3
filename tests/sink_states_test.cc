#include "buffer/sink_states.h"

#include <gtest/gtest.h>

namespace forebay {
namespace {

const PartitionId kPartition{StreamId("web"), 3};

DrainStatus StatusAt(std::optional<Offset> cursor) {
  DrainStatus status;
  status.partition = kPartition;
  status.cursor = cursor;
  status.committed = Offset(100);
  if (cursor.has_value()) status.lag_events = 100 - cursor->value();
  return status;
}

PartitionStatus PartitionTrimmedTo(uint64_t floor) {
  PartitionStatus status;
  status.partition = kPartition;
  status.trim_floor = Offset(floor);
  return status;
}

TEST(SinkStates, ShowTheLagOfTheSinksOwnProgress) {
  const auto states = SinkStatesOf({StatusAt(Offset(90))}, {PartitionTrimmedTo(40)});
  EXPECT_EQ(states[0].cursor, Offset(90));
  EXPECT_EQ(states[0].lag_events, 10u);
}

// After a takeover while the sink is away: no lag at all would hide the outage.
TEST(SinkStates, ShowTheLagFromTheTrimFloorWhileTheSinkDoesNotAnswer) {
  const auto states = SinkStatesOf({StatusAt(std::nullopt)}, {PartitionTrimmedTo(40)});
  EXPECT_EQ(states[0].cursor, Offset(40));
  EXPECT_EQ(states[0].lag_events, 60u);
}

TEST(SinkStates, SayWhichNeedAnOperator) {
  for (int i = 0; i < static_cast<int>(DrainState::kCount); i++) {
    DrainStatus status = StatusAt(Offset(90));
    status.state = static_cast<DrainState>(i);
    status.set_aside_events = 7;
    const SinkState told = SinkStatesOf({status}, {PartitionTrimmedTo(40)})[0];
    EXPECT_EQ(told.state, NameOf(status.state));
    EXPECT_EQ(told.needs_operator, told.state == "undecodable" || told.state == "missing-blocks");
    EXPECT_EQ(told.set_aside_events, 7u);
  }
}

}  // namespace
}  // namespace forebay
