#include "drill/drill_verdict.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

constexpr size_t kExamplesOfEachKind = 5;

// Which event of which producer.
struct Place {
  size_t producer = 0;
  size_t index = 0;
  uint32_t rows = 0;  // seen in the sink
};

class Judgement {
 public:
  Judgement(absl::Span<const DrillLog> producers, absl::Span<const SinkRow> rows)
      : producers_(producers), rows_(rows) {}

  DrillVerdict Run(const std::optional<DrillFault>& fault) {
    for (size_t p = 0; p < producers_.size(); ++p) {
      for (size_t i = 0; i < producers_[p].size(); ++i) {
        places_[producers_[p][i].id] = {.producer = p, .index = i};
      }
    }
    for (const SinkRow& row : rows_) Row(row);
    for (const DrillLog& log : producers_) Producer(log);
    if (fault.has_value()) TakeOver(*fault);
    return std::move(verdict_);
  }

 private:
  void Example(const char* kind, const std::string& text) {
    if (examples_[kind]++ < kExamplesOfEachKind) {
      verdict_.examples.push_back(absl::StrCat(kind, ": ", text));
    }
  }

  static std::string Describe(const SinkRow& row) {
    return absl::StrCat("event '", row.id, "' at partition ", row.partition, " offset ",
                        row.offset);
  }

  void OutOfOrder(const SinkRow& row, const std::string& why) {
    ++verdict_.out_of_order;
    Example("out of order", absl::StrCat(Describe(row), " ", why));
  }

  void Row(const SinkRow& row) {
    const auto found = places_.find(row.id);
    if (found == places_.end()) {
      ++verdict_.never_sent;
      return Example("never sent", Describe(row));
    }
    Place& place = found->second;
    if (place.rows++ > 0) {
      ++verdict_.duplicated;
      return Example("duplicated", Describe(row));
    }
    ++verdict_.delivered;
    Order(row, place);
  }

  void Order(const SinkRow& row, const Place& place) {
    const auto [last, first_row] = last_offset_.try_emplace(row.partition, row.offset);
    if (!first_row && row.offset <= last->second) {
      return OutOfOrder(row, absl::StrCat("comes after offset ", last->second));
    }
    last->second = row.offset;
    const auto [index, first_of_producer] =
        last_index_.try_emplace(std::pair(place.producer, row.partition), place.index);
    if (!first_of_producer && place.index < index->second) {
      return OutOfOrder(
          row, absl::StrCat("was sent before '", producers_[place.producer][index->second].id,
                            "' by the same producer, and comes after it"));
    }
    index->second = place.index;
    const std::optional<DrillAck>& ack = producers_[place.producer][place.index].acknowledged;
    if (ack.has_value() && (ack->partition != row.partition || ack->offset != row.offset)) {
      OutOfOrder(row, absl::StrCat("was acknowledged at partition ", ack->partition, " offset ",
                                   ack->offset));
    }
  }

  void Producer(const DrillLog& log) {
    verdict_.sent += log.size();
    std::vector<absl::Time> acks;
    for (const DrillEvent& event : log) {
      if (!event.acknowledged.has_value()) continue;
      ++verdict_.acknowledged;
      acks.push_back(event.acknowledged->at);
      if (places_.at(event.id).rows > 0) continue;
      ++verdict_.lost;
      Example("lost",
              absl::StrCat("event '", event.id, "', acknowledged at partition ",
                           event.acknowledged->partition, " offset ", event.acknowledged->offset));
    }
    std::sort(acks.begin(), acks.end());
    absl::Time before = log.empty() ? absl::InfiniteFuture() : log.front().sent;
    for (const absl::Time at : acks) {
      verdict_.ack_gap_ms_max =
          std::max(verdict_.ack_gap_ms_max, absl::ToDoubleMilliseconds(at - before));
      before = at;
    }
  }

  void TakeOver(const DrillFault& fault) {
    std::map<uint32_t, absl::Time> first;  // acknowledgement of each partition
    for (const DrillLog& log : producers_) {
      for (const DrillEvent& event : log) {
        // An event sent before may have been acknowledged by the old owner.
        if (event.sent < fault.complete || !event.acknowledged.has_value()) continue;
        if (!fault.partitions.contains(event.acknowledged->partition)) continue;
        const absl::Time at = event.acknowledged->at;
        const auto [known, added] = first.try_emplace(event.acknowledged->partition, at);
        if (!added) known->second = std::min(known->second, at);
      }
    }
    if (first.empty()) return;
    absl::Time earliest = absl::InfiniteFuture(), latest = absl::InfinitePast();
    for (const auto& [partition, at] : first) {
      earliest = std::min(earliest, at);
      latest = std::max(latest, at);
    }
    verdict_.takeover_ms = absl::ToDoubleMilliseconds(earliest - fault.began);
    if (first.size() == fault.partitions.size()) {
      verdict_.takeover_all_ms = absl::ToDoubleMilliseconds(latest - fault.began);
    }
  }

  const absl::Span<const DrillLog> producers_;
  const absl::Span<const SinkRow> rows_;
  std::unordered_map<std::string_view, Place> places_;
  std::map<uint32_t, uint64_t> last_offset_;                  // of each partition
  std::map<std::pair<size_t, uint32_t>, size_t> last_index_;  // of each producer and partition
  std::map<std::string_view, size_t> examples_;
  DrillVerdict verdict_;
};

// From the first to the last, the longest time between two that overlaps the span.
double LongestGap(const std::vector<absl::Time>& times,
                  const std::pair<absl::Time, absl::Time>& span) {
  double longest = 0;
  auto at = std::upper_bound(times.begin(), times.end(), span.first);
  if (at == times.begin()) return 0;
  for (; at != times.end() && *std::prev(at) < span.second; ++at) {
    longest = std::max(longest, absl::ToDoubleMilliseconds(*at - *std::prev(at)));
  }
  return longest;
}

}  // namespace

std::vector<AckGaps> GapsDuring(absl::Span<const DrillLog> producers,
                                absl::Span<const std::pair<absl::Time, absl::Time>> spans) {
  std::vector<std::vector<absl::Time>> of_producers;
  std::map<uint32_t, std::vector<absl::Time>> of_partitions;
  for (const DrillLog& log : producers) {
    std::vector<absl::Time>& times = of_producers.emplace_back();
    for (const DrillEvent& event : log) {
      if (!event.acknowledged.has_value()) continue;
      times.push_back(event.acknowledged->at);
      of_partitions[event.acknowledged->partition].push_back(event.acknowledged->at);
    }
    std::sort(times.begin(), times.end());
  }
  for (auto& [partition, times] : of_partitions) std::sort(times.begin(), times.end());
  std::vector<AckGaps> all;
  for (const auto& span : spans) {
    AckGaps& gaps = all.emplace_back();
    for (const auto& times : of_producers) {
      gaps.producer_ms = std::max(gaps.producer_ms, LongestGap(times, span));
    }
    for (const auto& [partition, times] : of_partitions) {
      gaps.partition_ms = std::max(gaps.partition_ms, LongestGap(times, span));
    }
  }
  return all;
}

std::vector<AcksDuring> AcknowledgedDuring(absl::Span<const DrillLog> producers,
                                           absl::Span<const AckSpan> spans) {
  std::vector<AcksDuring> all;
  for (const AckSpan& span : spans) {
    AcksDuring& acks = all.emplace_back();
    absl::Time first = absl::InfiniteFuture();
    for (const DrillLog& log : producers) {
      for (const DrillEvent& event : log) {
        if (!event.acknowledged.has_value()) continue;
        const absl::Time at = event.acknowledged->at;
        acks.events += at >= span.from && at < span.to ? 1 : 0;
        if (event.sent >= span.in_effect) first = std::min(first, at);
      }
    }
    if (first < span.to) acks.first_ms = absl::ToDoubleMilliseconds(first - span.began);
  }
  return all;
}

std::vector<double> AcknowledgedEachSecond(absl::Span<const DrillLog> producers, absl::Time start) {
  std::vector<double> counts;
  for (const DrillLog& log : producers) {
    for (const DrillEvent& event : log) {
      if (!event.acknowledged.has_value() || event.acknowledged->at < start) continue;
      const auto second = static_cast<size_t>(absl::ToInt64Seconds(event.acknowledged->at - start));
      if (second >= counts.size()) counts.resize(second + 1);
      ++counts[second];
    }
  }
  return counts;
}

DrillVerdict Judge(absl::Span<const DrillLog> producers, absl::Span<const SinkRow> rows,
                   const std::optional<DrillFault>& fault) {
  return Judgement(producers, rows).Run(fault);
}

}  // namespace forebay
