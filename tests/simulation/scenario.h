// What the tests of single scenarios say to a simulated world.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "simulation/world.h"

namespace forebay {

class Scenario : public testing::Test {
 protected:
  // A world of this plan after `first`, without a fault so far.
  void Begin(const Plan& plan, uint64_t seed = 7, absl::Duration first = absl::Seconds(5)) {
    world_ = std::make_unique<World>(seed, plan, nullptr);
    world_->Start();
    Run(first);
    world_->TakeLongestGap();
    ASSERT_NE(world_->Owner(), nullptr);
  }
  void Run(absl::Duration time) { ASSERT_TRUE(world_->RunFor(time)) << Broken(); }
  std::string Broken() { return world_->invariants().broken().value_or(""); }
  // Everything acknowledged, delivered, on all its copies.
  void ExpectAllWell() { EXPECT_TRUE(world_->RunUntilQuiet()) << Broken(); }

  SimNode& Owner() { return *world_->Owner(); }
  SimNode& NotOwner(size_t which = 0) {
    for (SimNode* node : world_->Nodes()) {
      if (node != world_->Owner() && which-- == 0) return *node;
    }
    return Owner();
  }

  std::unique_ptr<World> world_;
};

}  // namespace forebay
