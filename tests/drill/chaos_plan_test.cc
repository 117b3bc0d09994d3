// The plan of a chaos drill: the same for the same seed, and never beyond what the promise covers.
#include "drill/chaos_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace forebay {
namespace {

using ::testing::ElementsAre;

ChaosScope Everything(absl::Duration length) {
  return {.zones = 3,
          .nodes_per_zone = 2,
          .etcd = true,
          .disks = true,
          .clocks = true,
          .sink = true,
          .length = length};
}

std::vector<std::string> Lines(const std::vector<ChaosFault>& plan) {
  std::vector<std::string> lines;
  for (const ChaosFault& fault : plan) {
    lines.push_back(absl::FormatDuration(fault.start) + " " + Describe(fault));
  }
  return lines;
}

// Zones that a fault breaks; all of them for one of the whole cluster.
std::set<std::string> ZonesBrokenBy(const ChaosFault& fault) {
  if (fault.kind == ChaosKind::kBreakSink) return {};
  if (fault.zone.empty()) return {"a", "b", "c"};
  return {fault.zone.value()};
}

TEST(ChaosPlan, IsTheSameForTheSameSeedAndAnotherForAnother) {
  const ChaosScope scope = Everything(absl::Minutes(10));
  EXPECT_EQ(Lines(PlanChaos(scope, 7)), Lines(PlanChaos(scope, 7)));
  EXPECT_NE(Lines(PlanChaos(scope, 7)), Lines(PlanChaos(scope, 8)));
}

// G1 covers the loss of one zone, or a power cut of all.
TEST(ChaosPlan, NeverBreaksTwoZonesAtOnce) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const std::vector<ChaosFault> plan = PlanChaos(Everything(absl::Minutes(5)), seed);
    for (const ChaosFault& fault : plan) {
      // What is broken at the moment this one begins.
      std::set<std::string> zones;
      int of_all = 0;
      for (const ChaosFault& other : plan) {
        if (other.start > fault.start || other.end() <= fault.start) continue;
        const std::set<std::string> broken = ZonesBrokenBy(other);
        if (broken.size() > 1) ++of_all;
        if (broken.size() == 1) zones.merge(std::set<std::string>(broken));
      }
      ASSERT_LE(of_all + zones.size(), 1u) << "seed " << seed << ": " << Describe(fault);
    }
  }
}

TEST(ChaosPlan, GivesNoProcessTwoFaultsAtOnce) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const std::vector<ChaosFault> plan = PlanChaos(Everything(absl::Minutes(5)), seed);
    for (size_t i = 0; i < plan.size(); ++i) {
      for (size_t j = i + 1; j < plan.size() && plan[j].start < plan[i].end(); ++j) {
        ASSERT_NE(plan[i].target, plan[j].target) << "seed " << seed;
        ASSERT_TRUE(MayOverlap(plan[i], plan[j])) << "seed " << seed << ": " << Describe(plan[j]);
      }
    }
  }
}

TEST(ChaosPlan, OverlapsFaultsNowAndThen) {
  int overlaps = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const std::vector<ChaosFault> plan = PlanChaos(Everything(absl::Minutes(5)), seed);
    for (size_t i = 1; i < plan.size(); ++i) {
      if (plan[i].start < plan[i - 1].end() && !plan[i].zone.empty() &&
          plan[i].zone == plan[i - 1].zone) {
        ++overlaps;
      }
    }
  }
  EXPECT_GT(overlaps, 50);
}

TEST(ChaosPlan, IsInOrderAndEndsInTime) {
  for (const absl::Duration length : {absl::Seconds(20), absl::Minutes(1), absl::Minutes(30)}) {
    for (uint64_t seed = 0; seed < 100; ++seed) {
      absl::Duration before = absl::ZeroDuration();
      for (const ChaosFault& fault : PlanChaos(Everything(length), seed)) {
        ASSERT_GE(fault.start, before) << "seed " << seed;
        ASSERT_GT(fault.hold, absl::ZeroDuration()) << "seed " << seed;
        ASSERT_LT(fault.end(), length) << "seed " << seed;
        before = fault.start;
      }
    }
  }
}

TEST(ChaosPlan, HoldsEveryKindWithinFiveMinutes) {
  std::set<std::pair<ChaosKind, bool>> kinds;  // and whether it is of all
  for (const ChaosFault& fault : PlanChaos(Everything(absl::Minutes(5)), 1)) {
    kinds.emplace(fault.kind, fault.target == "all");
  }
  EXPECT_EQ(kinds.size(), 13u);
}

TEST(ChaosPlan, LeapsOnlyAheadWhereCertificatesWouldNotBeValidYet) {
  ChaosScope scope = Everything(absl::Hours(1));
  const auto back = [&] {
    int count = 0;
    for (const ChaosFault& fault : PlanChaos(scope, 1)) {
      count += fault.off_then < absl::ZeroDuration() ? 1 : 0;
    }
    return count;
  };
  EXPECT_GT(back(), 0);
  scope.certificates = true;
  EXPECT_EQ(back(), 0);
}

TEST(ChaosPlan, HoldsOnlyWhatIsThereToBreak) {
  ChaosScope scope{.zones = 1, .length = absl::Minutes(10)};
  std::set<ChaosKind> kinds;
  for (const ChaosFault& fault : PlanChaos(scope, 1)) kinds.insert(fault.kind);
  EXPECT_THAT(kinds, ElementsAre(ChaosKind::kKill, ChaosKind::kFreeze, ChaosKind::kRestartAll));
}

}  // namespace
}  // namespace forebay
