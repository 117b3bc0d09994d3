// Flipped bits on one disk of an otherwise healthy simulated world: found, and written again from
// another replica (G10, H3).
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "simulation/scenario.h"

namespace forebay {
namespace {

class DamageScenarioTest : public Scenario {
 protected:
  // With a backlog, so that there is something to damage.
  void Begin(uint64_t seed) {
    Plan plan = CalmPlan();
    plan.append_every = absl::Milliseconds(10);
    plan.keep_after_delivery = absl::Hours(1);
    Scenario::Begin(plan, seed, absl::Seconds(8));
  }
  void ExpectRepaired(SimNode& node) {
    ASSERT_TRUE(node.HasDamage());
    for (int i = 0; i < 100 && node.HasDamage(); i++) {
      ASSERT_TRUE(world_->RunFor(absl::Milliseconds(200))) << Broken();
    }
    EXPECT_FALSE(node.HasDamage());
    EXPECT_EQ(world_->invariants().Damaged(), "");
    const ScrubStats stats = node.replicator()->Scrub();
    EXPECT_GT(stats.passes, 0u);
    EXPECT_GT(stats.found, 0u);
    EXPECT_GE(stats.found, stats.repaired);
    EXPECT_GT(stats.repaired, 0u);
    EXPECT_EQ(stats.damaged_now, 0u);
    EXPECT_TRUE(world_->RunUntilQuiet()) << Broken();
  }
};

TEST_F(DamageScenarioTest, TheScrubFindsDamageOnAReplicaAndItIsRepairedInPlace) {
  for (uint64_t seed = 1; seed <= 12; seed++) {
    SCOPED_TRACE(seed);
    Begin(seed);
    SimNode& node = NotOwner();
    ASSERT_TRUE(node.DamageBlock());
    ExpectRepaired(node);
  }
}

TEST_F(DamageScenarioTest, AnOwnerRepairsItsOwnDamageWhileItOwns) {
  for (uint64_t seed = 20; seed <= 30; seed++) {
    SCOPED_TRACE(seed);
    Begin(seed);
    SimNode& node = *world_->Owner();
    ASSERT_TRUE(node.Misdirect());
    ExpectRepaired(node);
    EXPECT_EQ(world_->Owner(), &node);
  }
}

}  // namespace
}  // namespace forebay
