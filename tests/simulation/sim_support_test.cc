// The simulated world's own parts: virtual time, executors, network.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "simulation/fault.h"
#include "simulation/shrink.h"
#include "simulation/sim_network.h"
#include "support/sim_executor.h"

namespace forebay {
namespace {

class SimExecutorTest : public testing::Test {
 protected:
  Task Note(const std::string& what) {
    return [this, what] { seen_.push_back(what); };
  }
  Simulation simulation_;
  SimExecutor executor_{simulation_};
  std::vector<std::string> seen_;
};

TEST_F(SimExecutorTest, RunsTasksInTheOrderOfTimeThenPosting) {
  executor_.PostAfter(absl::Seconds(2), Note("late"));
  executor_.Post(Note("first"));
  executor_.Post(Note("second"));
  executor_.PostAfter(absl::Seconds(1), Note("middle"));
  simulation_.RunFor(absl::Seconds(3));
  EXPECT_EQ(seen_, (std::vector<std::string>{"first", "second", "middle", "late"}));
}

TEST_F(SimExecutorTest, MovesTheClockOnlyWithTheEvents) {
  SimClock clock(simulation_);
  const absl::Time start = clock.Now();
  absl::Time seen;
  executor_.PostAfter(absl::Hours(5), [&] { seen = clock.Now(); });
  EXPECT_EQ(clock.Now(), start);
  simulation_.RunFor(absl::Hours(6));
  EXPECT_EQ(seen, start + absl::Hours(5));
  EXPECT_EQ(clock.Now(), start + absl::Hours(6));
}

TEST_F(SimExecutorTest, RunsNothingAfterItsDeath) {
  executor_.Post(Note("waiting"));
  executor_.Kill();
  executor_.Post(Note("posted later"));
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_TRUE(seen_.empty());
}

TEST_F(SimExecutorTest, KeepsTasksInOrderWhileFrozen) {
  executor_.Freeze();
  executor_.Post(Note("one"));
  executor_.PostAfter(absl::Milliseconds(10), Note("two"));
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_TRUE(seen_.empty());
  executor_.Thaw();
  executor_.Post(Note("three"));
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_EQ(seen_, (std::vector<std::string>{"one", "two", "three"}));
}

TEST_F(SimExecutorTest, StopsWaitingForAConditionAtTheLimit) {
  int count = 0;
  executor_.PostAfter(absl::Seconds(1), [&] { count++; });
  EXPECT_TRUE(simulation_.RunUntilTrue([&] { return count == 1; }, absl::Seconds(5)));
  EXPECT_FALSE(simulation_.RunUntilTrue([&] { return count == 2; }, absl::Seconds(5)));
}

class SimNetworkTest : public testing::Test {
 protected:
  SimNetworkTest() {
    a_.SetPeers({{NodeId("a"), ""}, {NodeId("b"), ""}});
    Listen();
  }
  void Listen() {
    b_->Receive([this](const NodeId& from, Message message) {
      EXPECT_EQ(from, NodeId("a"));
      seen_.push_back(std::get<Probe>(message).epoch.value());
    });
  }
  void Send(int from, int to) {
    for (int i = from; i < to; i++) a_.Send(NodeId("b"), Probe{{StreamId("s"), 0}, Epoch(i)});
  }
  std::vector<uint64_t> Numbers(int from, int to) {
    std::vector<uint64_t> out;
    for (int i = from; i < to; i++) out.push_back(i);
    return out;
  }

  Simulation simulation_;
  SimExecutor loop_a_{simulation_}, loop_b_{simulation_};
  SimNetwork network_{simulation_, Random(7)};
  SimTransport a_{network_, NodeId("a"), Lane::kMain, loop_a_};
  std::unique_ptr<SimTransport> b_ =
      std::make_unique<SimTransport>(network_, NodeId("b"), Lane::kMain, loop_b_);
  std::vector<uint64_t> seen_;
};

TEST_F(SimNetworkTest, KeepsOrderAndLosesNothingOnAHealthyLink) {
  Send(0, 100);
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_EQ(seen_, Numbers(0, 100));
}

TEST_F(SimNetworkTest, LosesRepeatsAndReordersWhenAsked) {
  LinkFaults faults;
  faults.lose = 0.2;
  faults.repeat = 0.2;
  faults.reorder = 0.2;
  network_.SetFaults(NodeId("a"), NodeId("b"), faults);
  Send(0, 1000);
  simulation_.RunFor(absl::Seconds(30));
  const std::set<uint64_t> different(seen_.begin(), seen_.end());
  EXPECT_LT(different.size(), 950u);
  EXPECT_GT(seen_.size(), different.size());
  EXPECT_FALSE(std::is_sorted(seen_.begin(), seen_.end()));
  EXPECT_GT(network_.counters().lost, 0u);
  EXPECT_GT(network_.counters().repeated, 0u);
}

TEST_F(SimNetworkTest, CutsOneDirectionAndWhatIsOnItsWay) {
  Send(0, 10);
  network_.Cut(NodeId("a"), NodeId("b"));
  Send(10, 20);
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_TRUE(seen_.empty());
  EXPECT_FALSE(network_.IsCut(NodeId("b"), NodeId("a")));
  network_.Join(NodeId("a"), NodeId("b"));
  Send(20, 30);
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_EQ(seen_, Numbers(20, 30));
}

TEST_F(SimNetworkTest, HandsMessagesToTheProcessThatLivesWhenTheyArrive) {
  Send(0, 5);
  b_.reset();
  b_ = std::make_unique<SimTransport>(network_, NodeId("b"), Lane::kMain, loop_b_);
  Listen();
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_EQ(seen_, Numbers(0, 5));
}

TEST_F(SimNetworkTest, DropsWhatIsSentToNobodyOrToAnUnknownPeer) {
  a_.Send(NodeId("c"), Probe{});
  EXPECT_EQ(network_.counters().sent, 0u);
  b_->Stop();
  Send(0, 5);
  simulation_.RunFor(absl::Seconds(1));
  EXPECT_TRUE(seen_.empty());
}

FaultScript ScriptOf(int faults) {
  FaultScript script;
  script.noise = {Noise::kLinks, Noise::kSinks};
  for (int i = 0; i < faults; i++) {
    script.events.push_back({absl::Milliseconds(1500 * i), static_cast<Fault>(i % 5),
                             ProtocolState::kCopying, static_cast<uint64_t>(i)});
  }
  return script;
}

std::vector<uint64_t> Dice(const FaultScript& script) {
  std::vector<uint64_t> dice;
  for (const FaultEvent& event : script.events) dice.push_back(event.dice);
  return dice;
}

TEST(FaultScriptTest, ComesBackFromItsTextTheSame) {
  FaultScript script = ScriptOf(3);
  script.events[1].when.reset();
  const std::string text = script.ToString();
  EXPECT_EQ(text,
            "noise=links,sinks;0.000:kill@copying#0;1.500:freeze#1;3.000:power-cut@copying#2");
  const auto parsed = FaultScript::Parse(text);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->ToString(), text);
}

TEST(FaultScriptTest, SaysWhichPartIsWrong) {
  for (const std::string part :
       {"1.0:kil#1", "1.0:kill@nowhere#1", "1.0:kill", "x:kill#1", "noise=thunder"}) {
    const auto parsed = FaultScript::Parse("2.0:kill#1;" + part);
    ASSERT_FALSE(parsed.ok()) << part;
    EXPECT_NE(parsed.status().message().find("'" + part + "'"), std::string::npos);
  }
}

TEST(Shrink, FindsTheTwoFaultsThatItTakes) {
  int runs = 0;
  const FaultScript shrunk = Shrink(
      ScriptOf(40),
      [&](const FaultScript& script) {
        runs++;
        const std::vector<uint64_t> dice = Dice(script);
        return std::count(dice.begin(), dice.end(), 7) == 1 &&
               std::count(dice.begin(), dice.end(), 31) == 1;
      },
      1000);
  EXPECT_EQ(shrunk.ToString(), "noise=;10.500:power-cut#7;46.500:freeze#31");
  EXPECT_LT(runs, 100);
}

TEST(Shrink, KeepsWhatStillFailsWhenItsRunsAreUsedUp) {
  int runs = 0;
  const auto fails = [&](const FaultScript& script) {
    runs++;
    return script.events.size() > 10;
  };
  const FaultScript shrunk = Shrink(ScriptOf(40), fails, 4);
  EXPECT_EQ(runs, 4);
  EXPECT_GT(shrunk.events.size(), 10u);
}

}  // namespace
}  // namespace forebay
