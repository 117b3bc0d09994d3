// Blocks that cannot be decoded: delivery stops with a cause, until an operator sets them aside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/drain_fixture.h"
#include "support/forge.h"

namespace forebay {
namespace {

class SetAsideTest : public DrainTest {
 protected:
  // The block's checksum fits, but its body is not what its codec makes.
  void Spoil(size_t index) {
    const char codec = static_cast<char>(Codec::kZstd);
    log_.blocks[index].block = *Block::Parse(
        Forge(std::string(log_.blocks[index].block.bytes()), 5, std::string_view(&codec, 1)));
  }
  // As the operator's command does it: this very block.
  auto Decided(size_t index) {
    return [first = log_.blocks[index].first, end = log_.blocks[index].end(),
            checksum = log_.blocks[index].block.checksum()](const BadBlock& bad) {
      return bad.first == first && bad.end == end && bad.checksum == checksum;
    };
  }
  static std::vector<uint64_t> Offsets(uint64_t first, uint64_t end) {
    std::vector<uint64_t> out;
    for (uint64_t i = first; i < end; i++) out.push_back(i);
    return out;
  }
};

// No sink may see it, nor may it go to the dead letters, which would be a skip (G8, G10).
TEST_F(SetAsideTest, DeliversWhatPrecedesTheBlockAndStopsThereWithItsCause) {
  log_.Append(60);
  Spoil(2);
  DrainNode node = Node();
  Commit(node, 1, 60);
  simulation_.RunFor(absl::Minutes(5));
  ExpectExactlyOnce(20);
  EXPECT_THAT(node.dead_letters, testing::IsEmpty());
  const DrainStatus status = node.Status();
  EXPECT_EQ(status.state, DrainState::kUndecodable);
  EXPECT_EQ(status.lag_events, 40u);
  EXPECT_EQ(status.set_aside_events, 0u);
  EXPECT_THAT(status.last_error, testing::HasSubstr("offsets 20 to 29 of web/3 cannot be decoded"));
  EXPECT_THAT(status.last_error, testing::HasSubstr("'forebay admin set-aside web 3 20'"));
}

// It is read again, perhaps from a peer that holds it whole.
TEST_F(SetAsideTest, GoesOnByItselfWhenTheBlockCanBeDecodedAfterAll) {
  log_.Append(60);
  const StoredBlock whole = log_.blocks[2];
  Spoil(2);
  DrainNode node = Node();
  Commit(node, 1, 60);
  simulation_.RunFor(absl::Minutes(5));
  log_.blocks[2] = whole;
  ASSERT_TRUE(Delivers(60));
  ExpectExactlyOnce(60);
  EXPECT_EQ(node.Status().set_aside_events, 0u);
}

TEST_F(SetAsideTest, PassesOverExactlyTheBlockThatWasSetAsideAndCountsIt) {
  log_.Append(80);
  Spoil(2);
  Spoil(5);
  DrainNode node = Node();
  node.set_aside = Decided(2);
  Commit(node, 1, 80);
  simulation_.RunFor(absl::Minutes(5));
  ExpectExactlyOnce(50, Offsets(20, 30));
  EXPECT_EQ(node.Status().state, DrainState::kUndecodable);
  EXPECT_EQ(node.Status().set_aside_events, 10u);
  EXPECT_EQ(node.Status().delivered_events, 40u);
  EXPECT_EQ(downstream_->skips(), 1u);
  node.set_aside = Decided(5);
  ASSERT_TRUE(Delivers(80));
  std::vector<uint64_t> missing = Offsets(20, 30);
  for (uint64_t offset : Offsets(50, 60)) missing.push_back(offset);
  ExpectExactlyOnce(80, missing);
  EXPECT_EQ(node.Status().set_aside_events, 20u);
  EXPECT_EQ(node.Status().last_error, "");
}

TEST_F(SetAsideTest, PassesOverABlockThatIsLargerThanABatch) {
  log_.Append(60, 20);
  Spoil(1);
  SinkBinding binding = Binding();
  binding.batch_events_max = 7;
  DrainNode node(simulation_, log_, {binding});
  node.set_aside = Decided(1);
  downstream_->SetProgress(partition_, {Epoch(1), Offset(25)});  // inside of it
  Commit(node, 1, 60);
  ASSERT_TRUE(Delivers(60));
  EXPECT_EQ(downstream_->Rows(partition_).front().offset, Offset(40));
  EXPECT_EQ(downstream_->Rows(partition_).size(), 20u);
  EXPECT_EQ(node.Status().set_aside_events, 15u);
}

// What is not known to be set aside is not: the metadata store is away.
TEST_F(SetAsideTest, PassesOverNothingWhileTheDecisionIsNotKnown) {
  log_.Append(60);
  Spoil(2);
  DrainNode node = Node();
  node.set_aside = [](const BadBlock&) { return absl::UnavailableError("no metadata"); };
  Commit(node, 1, 60);
  simulation_.RunFor(absl::Minutes(5));
  ExpectExactlyOnce(20);
  EXPECT_EQ(node.Status().state, DrainState::kUndecodable);
  EXPECT_THAT(node.Status().last_error, testing::HasSubstr("no metadata"));
  node.set_aside = Decided(2);
  ASSERT_TRUE(Delivers(60));
}

// G5: the progress moves past the block in the step in which it is passed over, so an answer that
// is lost, or an owner that is replaced in the middle, neither passes over more nor delivers twice.
TEST_F(SetAsideTest, PassesOverItOnceWhileCallsFailAndOwnersChange) {
  for (uint64_t seed = 1; seed <= 50; seed++) {
    downstream_ = std::make_shared<MemoryDownstream>();
    Random random(seed);
    downstream_->fault = [&random](auto...) {
      if (random.Chance(0.3)) return Fault::kAmbiguous;
      return random.Chance(0.3) ? Fault::kRefused : Fault::kNone;
    };
    log_ = DrainLog();
    log_.Append(100, 10);
    Spoil(seed % 10);
    SinkBinding binding = Binding();
    binding.batch_events_max = 5 + seed % 30;
    DrainNode before(simulation_, log_, {binding}, seed), after(simulation_, log_, {binding}, seed);
    Commit(before, 1, 100);
    simulation_.RunFor(absl::Seconds(static_cast<double>(random.Below(20))));
    before.set_aside = after.set_aside = Decided(seed % 10);
    simulation_.RunFor(absl::Milliseconds(random.Below(5000)));
    Commit(after, 2, 100);
    ASSERT_TRUE(Delivers(100, absl::Hours(1))) << "seed " << seed;
    ExpectExactlyOnce(100, Offsets(10 * (seed % 10), 10 * (seed % 10) + 10));
  }
}

// The Skip took effect, its answer was lost, and the sink's progress tells.
TEST_F(SetAsideTest, CountsWhatWasPassedOverThoughTheAnswerWasLost) {
  log_.Append(30);
  Spoil(1);
  DrainNode node = Node();
  node.set_aside = Decided(1);
  int skips = 0;
  downstream_->fault = [&](const char* call, const PartitionId&) {
    return call == std::string("skip") && skips++ == 0 ? Fault::kAmbiguous : Fault::kNone;
  };
  Commit(node, 1, 30);
  ASSERT_TRUE(Delivers(30));
  EXPECT_EQ(skips, 1);
  EXPECT_EQ(node.Status().set_aside_events, 10u);
  ExpectExactlyOnce(30, Offsets(10, 20));
}

}  // namespace
}  // namespace forebay
