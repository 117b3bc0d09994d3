#include "wire/append_failure.h"

#include <algorithm>
#include <numeric>

#include "base/checksum.h"
#include "wire/ingest_wire.h"

namespace forebay {
namespace {

constexpr int kMessagesMax = 6;
constexpr size_t kMessageBytesMax = 150;

// Its place in the table, plus one; 0 when there is no room.
uint32_t MessageNumber(const AppendResult& result, v1::AppendFailure& failure) {
  const std::string text(result.status.message().substr(0, kMessageBytesMax));
  for (int i = 0; i < failure.messages_size(); i++) {
    if (failure.messages(i) == text) return static_cast<uint32_t>(i) + 1;
  }
  if (failure.messages_size() == kMessagesMax) return 0;
  failure.add_messages(text);
  return static_cast<uint32_t>(failure.messages_size());
}

v1::EventRun RunOf(const AppendResult& result, bool places, v1::AppendFailure& failure) {
  v1::EventRun run;
  run.set_count(1);
  run.set_outcome(ToWire(result.outcome));
  if (result.outcome == Outcome::kAcknowledged) {
    if (!places) return run;
    run.set_partition(result.partition.index);
    run.set_first_offset(result.offset.value());
    run.set_zones(static_cast<uint32_t>(result.zones));
  } else {
    run.set_code(static_cast<uint32_t>(result.status.code()));
    run.set_message(MessageNumber(result, failure));
  }
  return run;
}

bool GoesOn(const v1::EventRun& run, const v1::EventRun& next, bool places) {
  if (run.outcome() != next.outcome()) return false;
  if (run.outcome() != v1::APPEND_OUTCOME_ACKNOWLEDGED) {
    return run.code() == next.code() && run.message() == next.message();
  }
  if (!places) return true;
  return run.partition() == next.partition() && run.zones() == next.zones() &&
         run.first_offset() + run.count() == next.first_offset();
}

v1::AppendFailure RunsOf(const std::vector<size_t>& order, const std::vector<AppendResult>& results,
                         bool places) {
  v1::AppendFailure failure;
  failure.set_without_places(!places);
  for (const size_t i : order) {
    v1::EventRun next = RunOf(results[i], places, failure);
    const int last = failure.runs_size() - 1;
    if (last >= 0 && GoesOn(failure.runs(last), next, places)) {
      failure.mutable_runs(last)->set_count(failure.runs(last).count() + 1);
    } else {
      *failure.add_runs() = std::move(next);
    }
  }
  return failure;
}

void AddResults(const SentEvents& events, const std::vector<AppendResult>& results,
                v1::AppendFailure& failure) {
  for (size_t i = 0; i < results.size(); i++) {
    v1::EventResult& result = *failure.add_results();
    result.set_id(events.ids[i]);
    ToWire(results[i], 0, result);
    if (failure.results_size() % 16 == 0 && failure.ByteSizeLong() > kAppendFailureBytesMax) break;
  }
  if (failure.ByteSizeLong() > kAppendFailureBytesMax) failure.clear_results();
}

bool Fits(const v1::AppendFailure& failure) {
  return failure.ByteSizeLong() <= kAppendFailureBytesMax;
}

}  // namespace

SentEvents SentEventsOf(const std::vector<Event>& events, const StreamOptions& stream) {
  SentEvents sent;
  sent.partitions = stream.partitions;
  sent.ids.reserve(events.size());
  sent.key_partitions.reserve(events.size());
  for (const Event& event : events) {
    sent.ids.push_back(event.id);
    sent.key_partitions.push_back(event.key.empty()
                                      ? std::nullopt
                                      : std::make_optional(Crc32c(event.key) % stream.partitions));
  }
  return sent;
}

std::optional<v1::AppendFailure> MakeAppendFailure(const SentEvents& events,
                                                   const std::vector<AppendResult>& results) {
  std::vector<size_t> order(results.size());
  std::iota(order.begin(), order.end(), size_t{0});
  v1::AppendFailure failure = RunsOf(order, results, /*places=*/true);
  if (!Fits(failure) && !events.key_partitions.empty()) {
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return events.key_partitions[a] < events.key_partitions[b];
    });
    failure = RunsOf(order, results, /*places=*/true);
    // Events with a key and without share blocks: then their offsets alternate.
    if (!Fits(failure)) failure = RunsOf(order, results, /*places=*/false);
    failure.set_order(v1::RUN_ORDER_BY_KEY);
    failure.set_partitions(events.partitions);
  }
  if (!Fits(failure)) return std::nullopt;
  AddResults(events, results, failure);
  return failure;
}

}  // namespace forebay
