#include "wal/wal_segment_table.h"

#include <algorithm>

#include "base/check.h"

namespace forebay {

// One overload for each write; each gives the instance it is about.
class WalSegmentTable::Acceptor {
 public:
  Acceptor(WalSegmentTable& table, uint64_t ticket) : table_(table), ticket_(ticket) {}

  uint64_t operator()(const OpenSegment& open) const {
    const auto [at, is_new] = table_.segments_.try_emplace(open.key);
    FOREBAY_CHECK(is_new, "segment opened twice: " + open.key.ToString());
    Segment& segment = at->second;
    segment.instance = table_.next_instance_++;
    segment.extent = {open.start, open.start};
    segment.pending_snapshot.emplace(ticket_, open.snapshot);
    return segment.instance;
  }
  uint64_t operator()(const AppendBlock& append) const {
    Segment& segment = table_.FindOpen(append.key);
    FOREBAY_CHECK(append.first == segment.extent.tail,
                  "append that is not at the tail of " + append.key.ToString());
    segment.pending.push_back({ticket_, {append.first, append.block}});
    segment.extent.tail = append.first + append.block.event_count();
    return segment.instance;
  }
  uint64_t operator()(const RaiseFence&) const { return 0; }
  uint64_t operator()(const TrimSegment& trim) const {
    Segment& segment = table_.FindOpen(trim.key);
    FOREBAY_CHECK(trim.start >= segment.extent.start && trim.start <= segment.extent.tail,
                  "trim outside of " + trim.key.ToString());
    segment.extent.start = trim.start;
    segment.pending_snapshot.emplace(ticket_, trim.snapshot);
    while (!segment.pending.empty() && segment.pending.front().stored.first < trim.start) {
      FOREBAY_CHECK(segment.pending.front().stored.end() <= trim.start,
                    "trim inside a block of " + trim.key.ToString());
      segment.pending.pop_front();
    }
    return segment.instance;
  }
  uint64_t operator()(const RestoreBlock& restore) const {
    const Segment* segment = table_.Find(restore.key);
    return segment == nullptr ? 0 : segment->instance;
  }
  uint64_t operator()(const RestoreSnapshot& restore) const {
    Segment& segment = table_.FindOpen(restore.key);
    FOREBAY_CHECK(restore.start == segment.extent.start,
                  "snapshot that is not at the start of " + restore.key.ToString());
    segment.pending_snapshot.emplace(ticket_, restore.snapshot);
    return segment.instance;
  }
  uint64_t operator()(const DropSegment& drop) const {
    const auto found = table_.segments_.find(drop.key);
    if (found == table_.segments_.end()) return 0;
    const uint64_t instance = found->second.instance;
    table_.segments_.erase(found);
    return instance;
  }

 private:
  WalSegmentTable& table_;
  const uint64_t ticket_;
};

WalSegmentTable::WalSegmentTable(const LoadedWal& loaded) : next_instance_(loaded.next_instance) {
  for (const auto& [key, segment] : loaded.segments) {
    segments_[key] = {segment.instance, segment.extent, {}, std::nullopt};
  }
}

AcceptedWrite WalSegmentTable::Accept(WalWrite write, uint64_t ticket) {
  const uint64_t instance = std::visit(Acceptor(*this, ticket), write);
  return {std::move(write), instance};
}

void WalSegmentTable::Release(const std::vector<AcceptedWrite>& writes, uint64_t ticket) {
  for (const AcceptedWrite& accepted : writes) {
    const auto* append = std::get_if<AppendBlock>(&accepted.write);
    const auto* trim = std::get_if<TrimSegment>(&accepted.write);
    const auto* open = std::get_if<OpenSegment>(&accepted.write);
    const auto* restore = std::get_if<RestoreSnapshot>(&accepted.write);
    if (append == nullptr && trim == nullptr && open == nullptr && restore == nullptr) continue;
    const auto found = segments_.find(append    ? append->key
                                      : trim    ? trim->key
                                      : restore ? restore->key
                                                : open->key);
    if (found == segments_.end() || found->second.instance != accepted.instance) continue;
    Segment& segment = found->second;
    while (!segment.pending.empty() && segment.pending.front().ticket <= ticket) {
      segment.pending.pop_front();
    }
    if (segment.pending_snapshot && segment.pending_snapshot->first <= ticket) {
      segment.pending_snapshot.reset();
    }
  }
}

const WalSegmentTable::Segment* WalSegmentTable::Find(const SegmentKey& key) const {
  const auto found = segments_.find(key);
  return found == segments_.end() ? nullptr : &found->second;
}

WalSegmentTable::Segment& WalSegmentTable::FindOpen(const SegmentKey& key) {
  const auto found = segments_.find(key);
  FOREBAY_CHECK(found != segments_.end(), "write to a segment not open: " + key.ToString());
  return found->second;
}

}  // namespace forebay
