// The arithmetic behind docs/BENCHMARKS.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <map>

#include "compare/events.h"
#include "compare/load.h"
#include "compare/load_parts.h"

namespace forebay::compare {
namespace {

using testing::ElementsAre;

constexpr Instant kSecond = 1'000'000'000;
constexpr Span kSpan{.begin = 10 * kSecond, .end = 20 * kSecond};

double Milliseconds(absl::Duration duration) { return absl::ToDoubleMilliseconds(duration); }

TEST(Schedule, SpreadsPublishersEvenlyAndNeverDrifts) {
  const Schedule::Rate rate{.per_second = 2000, .publishers = 8};
  EXPECT_EQ(Schedule(rate, 0, 5 * kSecond).DueAt(0), 5 * kSecond);
  EXPECT_EQ(Schedule(rate, 1, 5 * kSecond).DueAt(0), 5 * kSecond + 500'000);
  EXPECT_EQ(Schedule(rate, 0, 5 * kSecond).DueAt(1), 5 * kSecond + 4'000'000);
  // 250 events a second of each publisher: an hour later it is still exact.
  EXPECT_EQ(Schedule(rate, 0, 0).DueAt(250 * 3600), 3600 * kSecond);
}

TEST(Window, HoldsConsecutiveTicketsUntilTheOldestIsSettled) {
  Window window(3);
  EXPECT_EQ(window.Take(100, 101), 0u);
  EXPECT_EQ(window.Take(200, 201), 1u);
  EXPECT_EQ(window.Take(300, 301), 2u);
  EXPECT_EQ(window.room(), 0u);
  EXPECT_EQ(window.Settle(1), 200);
  EXPECT_EQ(window.room(), 0u);
  EXPECT_THAT(window.Unsettled(), ElementsAre(0, 2));
  EXPECT_EQ(window.OldestSent(), 101);
  EXPECT_EQ(window.Settle(0), 100);
  EXPECT_EQ(window.room(), 2u);
  EXPECT_EQ(window.next(), 3u);
  EXPECT_EQ(window.OldestSent(), 301);
}

TEST(Window, SettlesNothingTwiceAndNothingThatWasNeverSent) {
  Window window(2);
  window.Take(100, 100);
  EXPECT_EQ(window.Settle(5), std::nullopt);
  EXPECT_EQ(window.Settle(0), 100);
  EXPECT_EQ(window.Settle(0), std::nullopt);
}

TEST(Tally, CountsLatencyFromWhenTheEventWasDueHoweverLateTheAnswer) {
  Tally tally(kSpan);
  tally.Acknowledged(kSpan.end - 1'000'000, kSpan.end + kSecond);  // due within, answered after
  EXPECT_EQ(tally.acknowledged(), 0u);
  EXPECT_EQ(tally.latency().count(), 1u);
  EXPECT_NEAR(Milliseconds(tally.latency().max()), 1001, 0.1);
}

TEST(Tally, LeavesTheWarmUpOut) {
  Tally tally(kSpan);
  tally.Acknowledged(kSpan.begin - 2, kSpan.begin - 1);
  EXPECT_EQ(tally.acknowledged(), 0u);
  EXPECT_EQ(tally.latency().count(), 0u);
  EXPECT_EQ(tally.acknowledged_ever(), 1u);
  tally.Acknowledged(kSpan.begin - 1, kSpan.begin);  // counts as throughput only
  EXPECT_EQ(tally.acknowledged(), 1u);
  EXPECT_EQ(tally.latency().count(), 0u);
}

TEST(Tally, ShowsAStallInEveryEventThatItHeldUp) {
  // 1,000 events a second; nothing is answered for the third second.
  Tally tally(kSpan);
  for (Instant due = kSpan.begin; due < kSpan.end; due += 1'000'000) {
    const bool stalled = due >= kSpan.begin + 2 * kSecond && due < kSpan.begin + 3 * kSecond;
    tally.Acknowledged(due, stalled ? kSpan.begin + 3 * kSecond : due + 1'000'000);
  }
  // A tenth of all were due while it stood still: the 95th of a hundred waited half a second.
  EXPECT_NEAR(Milliseconds(tally.latency().Quantile(0.95)), 500, 10);
  EXPECT_NEAR(Milliseconds(tally.latency().Quantile(0.5)), 1, 0.1);
  EXPECT_NEAR(Milliseconds(tally.longest_gap()), 999, 2);
}

TEST(Tally, CountsAGapThatLastsAtTheEnd) {
  Tally tally(kSpan);
  tally.Acknowledged(kSpan.begin, kSpan.begin + kSecond);
  EXPECT_EQ(tally.longest_gap(), absl::Seconds(9));
  EXPECT_EQ(Tally(kSpan).longest_gap(), absl::Seconds(10));  // no answer at all
}

TEST(Tally, CountsWhatIsNeverAnsweredWithWhatItHasWaited) {
  Tally tally(kSpan);
  tally.Unanswered(kSpan.begin, kSpan.end + 5 * kSecond);
  tally.Unanswered(kSpan.begin - 1, kSpan.end);  // of the warm-up
  EXPECT_EQ(tally.unanswered(), 1u);
  EXPECT_NEAR(Milliseconds(tally.latency().max()), 15'000, 1);
}

TEST(Tally, SumsCountsAndKeepsTheLongestGapOfAnyPublisher) {
  Tally steady(kSpan), stalled(kSpan);
  for (int i = 0; i < 10; ++i) {
    const Instant at = kSpan.begin + i * kSecond;
    steady.Acknowledged(at, at);
    if (i < 2 || i > 6) stalled.Acknowledged(at, at);
  }
  steady.Add(stalled);
  EXPECT_EQ(steady.acknowledged(), 15u);
  EXPECT_EQ(steady.latency().count(), 15u);
  EXPECT_EQ(steady.longest_gap(), absl::Seconds(6));
}

TEST(Verdict, TellsLostFromDuplicatedAndForeign) {
  const EventPool events(200);
  std::string event;
  Verdict verdict({EventId{1, 1}.value(), EventId{1, 2}.value(), EventId{2, 1}.value()});
  for (const EventId id : {EventId{1, 1}, EventId{2, 1}, EventId{2, 1}, EventId{9, 9}}) {
    events.Write(id, event);
    verdict.Read(event);
  }
  verdict.Read("something else");
  const Verdict::Counts counts = verdict.counts();
  EXPECT_EQ(counts.acknowledged, 3u);
  EXPECT_EQ(counts.read, 4u);  // {9, 9} was stored and its answer lost: no harm
  EXPECT_EQ(counts.lost, 1u);
  EXPECT_EQ(counts.duplicates, 1u);
  EXPECT_EQ(counts.foreign, 1u);
}

TEST(Events, HaveTheirSizeAndTheirId) {
  for (const size_t bytes : {150u, 200u, 1024u, 4096u}) {
    const EventPool events(bytes);
    std::string event;
    for (uint64_t number = 0; number < 5000; ++number) {
      events.Write({.publisher = 7, .number = number}, event);
      ASSERT_EQ(event.size(), bytes);
      ASSERT_EQ(event.back(), '}');
      ASSERT_EQ(IdOf(event), (EventId{.publisher = 7, .number = number}));
    }
  }
  EXPECT_EQ(IdOf("{\"id\":\"00x"), std::nullopt);
}

TEST(Events, CompressAsTheBenchmarkSays) {
  constexpr size_t kBlockBytes = 256 << 10;
  const EventPool events(1024);
  std::string block, event;
  for (uint64_t number = 0; block.size() < kBlockBytes; ++number) {
    events.Write({.publisher = 0, .number = number}, event);
    block += event;
  }
  std::string compressed(ZSTD_compressBound(block.size()), '\0');
  const size_t size =
      ZSTD_compress(compressed.data(), compressed.size(), block.data(), block.size(), 1);
  EXPECT_NEAR(static_cast<double>(block.size()) / static_cast<double>(size), 5.3, 0.2);
}

// Stores everything, but refuses each event the first time, and closes each connection at its
// seventh.
class OddPeer final : public Peer {
 public:
  class Connection final : public Publisher {
   public:
    Connection(OddPeer& peer, uint32_t publisher) : peer_(peer), publisher_(publisher) {}
    absl::Status Send(Ticket ticket, std::string_view event) override {
      EXPECT_EQ(IdOf(event), (EventId{.publisher = publisher_, .number = ticket}));
      if (++sent_ == 7) return absl::UnavailableError("closed");
      const bool stored = ++peer_.times_[ticket] > 1;
      answers_.push_back({.ticket = ticket, .stored = stored, .at = Now()});
      return absl::OkStatus();
    }
    absl::Status Flush() override { return absl::OkStatus(); }
    absl::Status Poll(absl::Duration, std::vector<Answer>& answers) override {
      answers.swap(answers_);
      return absl::OkStatus();
    }

   private:
    OddPeer& peer_;
    const uint32_t publisher_;
    int sent_ = 0;
    std::vector<Answer> answers_;
  };

  absl::StatusOr<std::unique_ptr<Publisher>> Connect(uint32_t publisher, size_t) override {
    ++connections_;
    return std::make_unique<Connection>(*this, publisher);
  }
  absl::Status ReadBack(const std::function<void(std::string_view)>&) override {
    return absl::OkStatus();
  }

  std::map<Ticket, int> times_;
  size_t connections_ = 0;
};

TEST(Load, SendsAgainWhatWasRefusedOrLostUntilAllIsAcknowledged) {
  OddPeer peer;
  LoadOptions options;
  options.publishers = 1;
  options.in_flight = 4;
  options.rate = 200;
  options.warm_up = absl::ZeroDuration();
  options.measured = absl::Milliseconds(50);
  options.keep_ids = true;
  const LoadResult result = RunLoad(options, peer, EventPool(200), [](bool) {});
  // 200 a second for 50 ms, each of them once.
  EXPECT_EQ(result.tally.acknowledged_ever(), 10u);
  EXPECT_EQ(result.tally.unanswered(), 0u);
  EXPECT_EQ(result.tally.latency().count(), 10u);
  EXPECT_EQ(result.acknowledged_ids.size(), 10u);
  EXPECT_GT(result.refused, 0u);
  EXPECT_EQ(result.reconnects + 1, peer.connections_);
  EXPECT_GT(result.reconnects, 0u);
}

}  // namespace
}  // namespace forebay::compare
