// What operators do, under load, in the simulated world: evacuate a zone, replace a node, restart
// one node after another. Every world checks all invariants as well.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "replication/take_down.h"
#include "simulation/scenario.h"

namespace forebay {
namespace {

using Of = MaintenanceRecord::Of;

class OperationsTest : public Scenario {
 protected:
  void Begin(int nodes_per_zone) {
    Plan plan = CalmPlan();
    plan.nodes_per_zone = nodes_per_zone;
    plan.stream.partitions = 3;
    plan.segment.bytes_max = 64 << 10;          // many sealed segments, ...
    plan.keep_after_delivery = absl::Hours(1);  // ... all of them to be moved
    Scenario::Begin(plan, 11, absl::Seconds(8));
  }

  void Set(Of of, const std::string& name, bool leaving, const std::string& replacement = "") {
    const MaintenanceRecord record{of, name, leaving, NodeId(replacement)};
    const auto now = world_->metadata().Get(MaintenanceKey(record));
    ASSERT_TRUE(
        world_->metadata()
            .Swap(MaintenanceKey(record), now.has_value() ? now->version : 0, Encode(record))
            .ok());
  }
  std::vector<SimNode*> InZone(const std::string& zone) {
    std::vector<SimNode*> nodes;
    for (SimNode* node : world_->Nodes()) {
      if (node->zone().value() == zone) nodes.push_back(node);
    }
    return nodes;
  }
  SimNode& Node(const std::string& id) {
    for (SimNode* node : world_->Nodes()) {
      if (node->id().value() == id) return *node;
    }
    ADD_FAILURE() << "no node " << id;
    return *world_->Nodes().front();
  }
  // As the chains say.
  Remains LeftOn(const std::vector<SimNode*>& nodes) {
    std::set<NodeId> ids;
    for (const SimNode* node : nodes) ids.insert(node->id());
    std::vector<PartitionStatus> partitions;
    for (uint32_t i = 0; i < 3; i++) {
      PartitionStatus& status = partitions.emplace_back();
      if (const Chain* chain = world_->invariants().ChainOf({StreamId("s"), i})) {
        status.chain = *chain;
      }
      status.owned_here = true;
    }
    return RemainsOf(partitions, ids);
  }
  std::string Text(const Remains& left) {
    return absl::StrCat(left.owned, " owned, ", left.open_segments, " open, ", left.sealed_segments,
                        " sealed");
  }
  // Runs until the nodes have nothing left.
  void Empty(const std::vector<SimNode*>& nodes) {
    for (int i = 0; i < 600 && !LeftOn(nodes).nothing(); i++) Run(absl::Milliseconds(100));
    ASSERT_TRUE(LeftOn(nodes).nothing()) << Text(LeftOn(nodes));
  }
  size_t BlocksOn(const SimNode& node) {
    size_t blocks = 0;
    for (const auto& [key, segment] : node.disk().durable.segments) blocks += segment.blocks.size();
    return blocks;
  }
};

TEST_F(OperationsTest, AnEvacuatedZoneHoldsNothingAndItsEndIsNotNoticed) {
  Begin(2);
  ASSERT_GT(LeftOn(InZone("c")).sealed_segments, 3);
  Set(Of::kZone, "c", true);
  Empty(InZone("c"));
  EXPECT_LT(world_->TakeLongestGap(), absl::Seconds(1));
  Run(absl::Seconds(5));
  for (SimNode* node : InZone("c")) {
    EXPECT_EQ(BlocksOn(*node), 0u) << "its copies were not given back";
    node->Kill();
  }
  Run(absl::Seconds(5));
  EXPECT_LT(world_->TakeLongestGap(), absl::Milliseconds(500));
  EXPECT_TRUE(LeftOn(InZone("c")).nothing());
  for (SimNode* node : InZone("c")) node->Start();
  Set(Of::kZone, "c", false);
  ExpectAllWell();
  EXPECT_GT(LeftOn(InZone("c")).open_segments, 0);
}

// Two zones are left, one copy fewer than the stream asks for: enough to acknowledge.
TEST_F(OperationsTest, AZoneCanBeEvacuatedThatLeavesFewerNodesThanCopies) {
  Begin(1);
  Set(Of::kZone, "b", true);
  Empty(InZone("b"));
  EXPECT_LT(world_->TakeLongestGap(), absl::Seconds(1));
  Set(Of::kZone, "b", false);
  ExpectAllWell();
}

TEST_F(OperationsTest, ALostNodeIsReplacedAtOnceByTheOneThatWasNamed) {  // not after replace_after
  Begin(2);
  Node("c1").Kill();
  Run(absl::Seconds(3));
  const int before = LeftOn({&Node("c2")}).sealed_segments;
  Set(Of::kNode, "c1", true, "c2");
  Empty({&Node("c1")});
  EXPECT_GT(LeftOn({&Node("c2")}).sealed_segments, before);
  // All copies are there again, without it.
  const auto whole = [&] { return world_->invariants().UnderReplicated(3, 3).empty(); };
  for (int i = 0; i < 200 && !whole(); i++) Run(absl::Milliseconds(17));
  EXPECT_TRUE(whole()) << world_->invariants().UnderReplicated(3, 3);
  EXPECT_LT(world_->TakeLongestGap(), absl::Seconds(2));
  ExpectAllWell();
}

TEST_F(OperationsTest, MaintenanceOutlivesTheRestartOfEveryNode) {
  Begin(2);
  Set(Of::kZone, "a", true);
  for (SimNode* node : world_->Nodes()) node->Kill();
  Run(absl::Seconds(1));
  for (SimNode* node : world_->Nodes()) node->Start();
  Run(absl::Seconds(3));
  Empty(InZone("a"));
  Run(absl::Seconds(5));
  EXPECT_TRUE(LeftOn(InZone("a")).nothing());
  Set(Of::kZone, "a", false);
  ExpectAllWell();
}

// Availability first: nodes that leave are the last resort, not forbidden.
TEST_F(OperationsTest, NodesThatLeaveServeWhenTheOthersAreTooFew) {
  Begin(1);
  Set(Of::kZone, "c", true);
  Empty(InZone("c"));
  for (SimNode* node : InZone("b")) node->Kill();
  Run(absl::Seconds(8));
  EXPECT_EQ(LeftOn(InZone("c")).open_segments, 3);  // of every partition
  EXPECT_LT(world_->TakeLongestGap(), absl::Seconds(5));
  for (SimNode* node : InZone("b")) node->Start();
  Run(absl::Seconds(3));
  Empty(InZone("c"));
  Set(Of::kZone, "c", false);
  ExpectAllWell();
}

TEST_F(OperationsTest, EveryZoneEvacuatedAndWipedInTurnLosesNothing) {  // H12
  Begin(2);
  for (const char* zone : {"a", "b", "c"}) {
    Set(Of::kZone, zone, true);
    Empty(InZone(zone));
    for (SimNode* node : InZone(zone)) {
      node->Kill();
      node->Wipe();
      node->Start();
    }
    Set(Of::kZone, zone, false);
    ASSERT_TRUE(world_->RunUntilWhole(absl::Seconds(60))) << Broken();
  }
  ExpectAllWell();
}

TEST_F(OperationsTest, AnEvacuationGoesOnWhileNodesCrashAndStart) {
  Begin(2);
  Set(Of::kZone, "b", true);
  for (const char* id : {"a1", "b1", "c1", "b2", "a2", "c2"}) {
    Run(absl::Milliseconds(300));
    Node(id).Kill();
    Run(absl::Milliseconds(700));
    Node(id).Start();
  }
  Empty(InZone("b"));
  Set(Of::kZone, "b", false);
  ExpectAllWell();
}

TEST_F(OperationsTest, ARollingRestartUnderLoadCostsLittle) {
  Begin(1);
  for (SimNode* node : world_->Nodes()) {
    bool stopped = false;
    node->Stop([&] { stopped = true; });
    for (int i = 0; i < 100 && !stopped; i++) Run(absl::Milliseconds(100));
    ASSERT_TRUE(stopped);
    node->Start();
    ASSERT_TRUE(world_->RunUntilWhole(absl::Seconds(20))) << Broken();
  }
  EXPECT_LT(world_->TakeLongestGap(), absl::Milliseconds(500));
  ExpectAllWell();
}

}  // namespace
}  // namespace forebay
