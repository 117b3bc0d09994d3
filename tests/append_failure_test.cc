// G2: what became of each event of an Append that did not store them all.
#include "wire/append_failure.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "runtime/random.h"

namespace forebay {
namespace {

// The order in which a client counts its events off against the runs, as ingest.proto tells it.
std::vector<size_t> OrderOf(const v1::AppendFailure& failure, const std::vector<Event>& events) {
  std::vector<size_t> order(events.size());
  for (size_t i = 0; i < order.size(); i++) order[i] = i;
  if (failure.order() == v1::RUN_ORDER_AS_SENT) return order;
  const auto rank = [&](size_t i) -> int64_t {
    return events[i].key.empty() ? -1 : int64_t{Crc32c(events[i].key) % failure.partitions()};
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return rank(a) < rank(b); });
  return order;
}

// What a client reads out of it, for each event as it sent them.
std::vector<v1::EventRun> Read(const v1::AppendFailure& failure, const std::vector<Event>& events) {
  std::vector<v1::EventRun> each(events.size());
  const std::vector<size_t> order = OrderOf(failure, events);
  size_t at = 0;
  for (v1::EventRun run : failure.runs()) {
    const uint64_t first = run.first_offset();
    for (uint32_t i = 0; i < run.count() && at < order.size(); i++) {
      run.set_first_offset(first + i);
      each[order[at++]] = run;
    }
  }
  EXPECT_EQ(at, events.size()) << "the runs do not cover all events";
  return each;
}

class AppendFailureTest : public testing::Test {
 protected:
  AppendFailureTest() { stream_.partitions = 6; }

  void Add(const std::string& key, AppendResult result) {
    Event event;
    event.id = absl::StrCat("id-", events_.size());
    event.key = key;
    events_.push_back(std::move(event));
    results_.push_back(std::move(result));
  }
  AppendResult StoredIn(uint32_t partition) {
    AppendResult result;
    result.outcome = Outcome::kAcknowledged;
    result.partition.index = partition;
    result.offset = Offset(1'000'000'000 + next_[partition]++);
    result.zones = 2;
    return result;
  }
  static AppendResult Failed(Outcome outcome, uint32_t partition) {
    AppendResult result;
    result.outcome = outcome;
    result.status = absl::UnavailableError(
        absl::StrCat("web/", partition, ": no owner took it within give_up_after, 3s; the last ",
                     "answer was: ", std::string(300, 'x')));
    return result;
  }
  std::optional<v1::AppendFailure> Make() {
    return MakeAppendFailure(SentEventsOf(events_, stream_), results_);
  }
  void ExpectTrue(const v1::AppendFailure& failure) {
    EXPECT_LE(failure.ByteSizeLong(), kAppendFailureBytesMax);
    const std::vector<v1::EventRun> read = Read(failure, events_);
    for (size_t i = 0; i < results_.size(); i++) {
      ASSERT_EQ(static_cast<int>(read[i].outcome()),
                results_[i].outcome == Outcome::kAcknowledged ? v1::APPEND_OUTCOME_ACKNOWLEDGED
                : results_[i].outcome == Outcome::kNotStored  ? v1::APPEND_OUTCOME_NOT_STORED
                                                              : v1::APPEND_OUTCOME_UNKNOWN)
          << i;
      if (results_[i].outcome != Outcome::kAcknowledged) {
        EXPECT_EQ(read[i].code(), static_cast<uint32_t>(results_[i].status.code()));
        continue;
      }
      if (failure.without_places()) continue;
      ASSERT_EQ(read[i].partition(), results_[i].partition.index) << i;
      ASSERT_EQ(read[i].first_offset(), results_[i].offset.value()) << i;
    }
  }

  StreamOptions stream_;
  std::vector<Event> events_;
  std::vector<AppendResult> results_;
  std::map<uint32_t, uint64_t> next_;
};

TEST_F(AppendFailureTest, SaysItOfEachEventWhereThatIsShort) {
  Add("", StoredIn(1));
  Add("", Failed(Outcome::kNotStored, 2));
  const auto failure = Make();
  ASSERT_TRUE(failure.has_value());
  ExpectTrue(*failure);
  ASSERT_EQ(failure->results_size(), 2);
  EXPECT_EQ(failure->results(0).id(), "id-0");
  EXPECT_EQ(failure->results(1).outcome(), v1::APPEND_OUTCOME_NOT_STORED);
}

// Every event has its key's partition, and two of the six have lost their owner.
TEST_F(AppendFailureTest, SaysItOfAsManyKeyedEventsAsARequestMayHold) {
  for (size_t i = 0; i < EventLimits::kBlockEventsMax; i++) {
    const std::string key = absl::StrCat("key-", i);
    const uint32_t partition = Crc32c(key) % stream_.partitions;
    Add(key, partition == 2   ? Failed(Outcome::kUnknown, partition)
             : partition == 4 ? Failed(Outcome::kNotStored, partition)
                              : StoredIn(partition));
  }
  const auto failure = Make();
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->order(), v1::RUN_ORDER_BY_KEY);
  EXPECT_EQ(failure->results_size(), 0);
  EXPECT_FALSE(failure->without_places());
  ExpectTrue(*failure);
}

TEST_F(AppendFailureTest, SaysItOfEventsWithAndWithoutKeysMixed) {
  Random random(3);
  for (int i = 0; i < 2000; i++) {
    const std::string key = random.Chance(0.5) ? absl::StrCat("key-", i) : "";
    const uint32_t partition =
        key.empty() ? static_cast<uint32_t>(i) / 500 : Crc32c(key) % stream_.partitions;
    Add(key, partition == 2 ? Failed(Outcome::kUnknown, partition) : StoredIn(partition));
  }
  const auto failure = Make();
  ASSERT_TRUE(failure.has_value());
  ExpectTrue(*failure);
}

TEST_F(AppendFailureTest, PromisesNothingThatDoesNotFit) {
  for (int i = 0; i < 65536; i++) {
    Add("", i % 2 == 0 ? StoredIn(0) : Failed(Outcome::kUnknown, 1));
    next_[0] += 5;
  }
  EXPECT_FALSE(Make().has_value());
}

}  // namespace
}  // namespace forebay
