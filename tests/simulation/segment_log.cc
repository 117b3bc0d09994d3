#include "simulation/segment_log.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace forebay {

std::string EventId(EventNumber number) { return absl::StrCat("e", number); }

EventNumber NumberOf(const Event& event) {
  EventNumber number = 0;
  FOREBAY_CHECK(absl::SimpleAtoi(event.id.substr(1), &number), "not an event of the workload");
  return number;
}

std::optional<std::string> SegmentLog::Add(const SegmentKey& key, const StoredBlock& stored) {
  auto& entries = segments_[key];
  auto at = entries.upper_bound(stored.first);
  if (at != entries.end() && at->first < stored.end()) {
    return absl::StrCat("a block of ", key.ToString(), " at ", stored.first.value(),
                        " overlaps another at ", at->first.value());
  }
  if (at != entries.begin()) {
    const auto& [first, entry] = *std::prev(at);
    if (first == stored.first) {
      if (entry.checksum == stored.block.checksum()) return std::nullopt;
      return absl::StrCat("two different blocks of ", key.ToString(), " at ", first.value());
    }
    if (first + entry.events.size() > stored.first) {
      return absl::StrCat("a block of ", key.ToString(), " at ", stored.first.value(),
                          " overlaps another at ", first.value());
    }
  }
  if (lies_.contains(stored.block.checksum())) {
    const uint32_t checksum = stored.block.checksum();
    entries.emplace(stored.first, Entry{checksum, lies_.at(checksum)});
    return std::nullopt;
  }
  auto events = stored.block.Decode();
  if (!events.ok()) return absl::StrCat("a durable block does not decode: ", key.ToString());
  Entry entry{stored.block.checksum(), {}};
  for (const Event& event : *events) entry.events.push_back(NumberOf(event));
  entries.emplace(stored.first, std::move(entry));
  return std::nullopt;
}

std::optional<EventNumber> SegmentLog::At(const SegmentKey& key, Offset offset) const {
  auto segment = segments_.find(key);
  if (segment == segments_.end()) return std::nullopt;
  auto at = segment->second.upper_bound(offset);
  if (at == segment->second.begin()) return std::nullopt;
  const auto& [first, entry] = *std::prev(at);
  const uint64_t index = offset.value() - first.value();
  if (index >= entry.events.size()) return std::nullopt;
  return entry.events[index];
}

bool SegmentLog::IsBoundary(const SegmentKey& key, Offset offset) const {
  auto segment = segments_.find(key);
  if (segment == segments_.end() || offset.value() == 0) return true;
  if (segment->second.contains(offset)) return true;
  auto at = segment->second.upper_bound(offset);
  if (at == segment->second.begin()) return true;
  const auto& [first, entry] = *std::prev(at);
  return first + entry.events.size() <= offset;
}

}  // namespace forebay
