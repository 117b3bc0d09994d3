// What callers are told, in an otherwise healthy simulated world: repeats of long ago, owners that
// are none any more, and a metadata store that takes no writes. Every world checks all invariants.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "simulation/scenario.h"

namespace forebay {
namespace {

class AnswersTest : public Scenario {
 protected:
  // A block that was acknowledged, `back` blocks ago; none is 0.
  std::pair<PartitionId, Block> Acknowledged(size_t back) {
    const auto& blocks = world_->invariants().acknowledged_blocks();
    return blocks.at(blocks.size() - 1 - back);
  }
  // What the owner says to it.
  AppendResult AppendToOwner(const Block& block) {
    auto result = std::make_shared<std::optional<AppendResult>>();
    Owner().replicator()->Append({StreamId("s"), 0}, block,
                                 [result](AppendResult told) { *result = std::move(told); });
    Run(absl::Seconds(1));
    EXPECT_TRUE(result->has_value());
    return result->value_or(AppendResult());
  }
  static Block WithOtherEvents(const Block& block) {
    std::vector<Event> events(block.event_count());
    for (Event& event : events) event.id = "other";
    return *EncodeBlock(block.stamp(), events, Codec::kNone);
  }
};

Plan OneProducer() {
  Plan plan = CalmPlan();
  plan.producers = 1;
  return plan;
}

TEST_F(AnswersTest, ARepeatIsAcknowledgedHoweverLongAgoItWasStored) {  // G2, guard repeat-stored
  Begin(OneProducer());
  const Block first = Acknowledged(world_->invariants().acknowledged_blocks().size() - 1).second;
  for (const bool after_takeover : {false, true}) {
    if (after_takeover) {
      Owner().Kill();
      Run(absl::Seconds(5));
    }
    const AppendResult told = AppendToOwner(first);
    EXPECT_EQ(told.outcome, Outcome::kAcknowledged) << told.status;
    EXPECT_FALSE(told.offset_known);
    EXPECT_TRUE(AppendToOwner(Acknowledged(0).second).offset_known);
  }
  for (SimNode* node : world_->Nodes()) {
    if (!node->running()) node->Start();
  }
  ExpectAllWell();
}

TEST_F(AnswersTest, OtherEventsUnderAUsedSequenceAreRefused) {  // G3, guard sequence-reused
  Plan plan = OneProducer();
  plan.keep_after_delivery = absl::Minutes(10);  // so that a new owner can compare
  Begin(plan);
  world_->SetAppending(false);
  Run(absl::Seconds(2));
  const Block last = Acknowledged(0).second;
  for (const bool after_takeover : {false, true}) {
    if (after_takeover) {
      Owner().Kill();
      Run(absl::Seconds(5));
    }
    const AppendResult told = AppendToOwner(WithOtherEvents(last));
    EXPECT_EQ(told.outcome, Outcome::kNotStored);
    EXPECT_EQ(told.status.code(), absl::StatusCode::kFailedPrecondition);
  }
  for (SimNode* node : world_->Nodes()) {
    if (!node->running()) node->Start();
  }
  world_->SetAppending(true);
  ExpectAllWell();
}

// Clients go on sending to an owner that was frozen, and what it says when it runs again is read
// from a table that has been overtaken.
TEST_F(AnswersTest, AFormerOwnerRefusesNothingThatIsStored) {  // G2, guard refusal-confirmed
  Plan plan = CalmPlan();
  plan.stray_every = absl::Milliseconds(5);
  Begin(plan);
  for (int i = 0; i < 3; i++) {
    SimNode& owner = Owner();
    owner.Freeze();
    Run(absl::Seconds(6));
    EXPECT_NE(world_->Owner(), &owner);
    owner.Thaw();
    Run(absl::Seconds(3));
  }
  ExpectAllWell();
}

// A node of the version before may have to take over, and it reads only what it knew.
TEST_F(AnswersTest, AnUpgradeWritesWhatTheOthersCanRead) {  // guard snapshot-format
  Plan plan = CalmPlan();
  plan.previous_version = true;
  plan.segment.age_max = absl::Seconds(1);
  Begin(plan);
  SimNode& first = NotOwner();
  first.Kill();
  first.SetPreviousVersion(false);
  first.Start();
  Run(absl::Seconds(5));
  Owner().replicator()->HandOver({StreamId("s"), 0}, first.id(), [](const absl::Status&) {});
  Run(absl::Seconds(5));
  ASSERT_EQ(world_->Owner(), &first);
  world_->TakeLongestGap();
  first.Kill();
  Run(absl::Seconds(5));
  EXPECT_LT(world_->TakeLongestGap(), absl::Seconds(2));
  first.Start();
  for (SimNode* node : world_->Nodes()) {
    if (node == &first) continue;
    node->Kill();
    node->SetPreviousVersion(false);
    node->Start();
    Run(absl::Seconds(5));
  }
  ExpectAllWell();
}

class LockedMetadataTest : public AnswersTest {
 protected:
  // A segment is due for another one all the time.
  static Plan RollingPlan() {
    Plan plan = CalmPlan();
    plan.segment.age_max = absl::Milliseconds(200);
    return plan;
  }
};

// OPERATIONS promises that open segments go on. Reads are served, as SQLite does while another
// process holds its lock.
TEST_F(LockedMetadataTest, OpenSegmentsGoOnWhileANodeDiesAndNothingCanBeWritten) {
  Begin(RollingPlan());
  world_->metadata().SetLocked(true);
  SimNode& dead = NotOwner();
  dead.Kill();
  Run(absl::Seconds(15));
  EXPECT_LT(world_->TakeLongestGap(), absl::Milliseconds(400));  // guard roll-needs-writes
  world_->metadata().SetLocked(false);
  dead.Start();
  ExpectAllWell();
}

TEST_F(LockedMetadataTest, ARollThatFindsTheStoreLockedIsCalledOff) {  // guard roll-called-off
  Begin(RollingPlan());
  for (int i = 0; i < 60; i++) {
    // Now and then it is locked between the proof and the swap.
    Run(absl::Milliseconds(31 + 7 * i));
    world_->metadata().SetLocked(true);
    Run(absl::Seconds(4));
    world_->metadata().SetLocked(false);
  }
  EXPECT_LT(world_->TakeLongestGap(), absl::Seconds(1));
  ExpectAllWell();
}

}  // namespace
}  // namespace forebay
