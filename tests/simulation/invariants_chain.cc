// The invariants of chains and sinks.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "simulation/invariants.h"

namespace forebay {
namespace {

std::string Where(const PartitionId& partition, Offset offset) {
  return absl::StrCat(partition.ToString(), ":", offset.value());
}

}  // namespace

void Invariants::OnMetadata() {
  for (auto& [partition, view] : partitions_) {
    const auto record = metadata_.Get(ChainKey(partition));
    if (!record || record->version == view.version) continue;
    auto chain = DecodeChain(record->value);
    if (!chain.ok()) {
      Break("chain form", std::string(chain.status().message()));
      return;
    }
    CheckSwap(partition, view, *chain);
    view.version = record->version;
  }
}

void Invariants::CheckSwap(const PartitionId& partition, PartitionView& view, const Chain& next) {
  const Chain before = std::exchange(view.chain, next);
  Count(before, next);
  CheckForm(partition, before, next);
  for (const Segment& segment : next.segments) {
    if (segment.end && *segment.end > Offset(view.content.size())) {
      TakeSealed(partition, view, segment);
    }
  }
  if (next.segments.back().base != Offset(view.content.size())) {
    Break("chain form", absl::StrCat(partition.ToString(), ": the open segment begins at ",
                                     next.segments.back().base.value(), ", the content ends at ",
                                     view.content.size()));
  }
  // G6: what was delivered is still there.
  for (const SinkId& sink : sinks_) {
    const auto& events = delivered_.at({sink, partition}).events;
    if (before.segments.empty() || next.segments.back().epoch == before.segments.back().epoch) {
      continue;
    }
    if (events.size() > view.content.size()) {
      Break("G6", absl::StrCat(partition.ToString(), " is sealed at ", view.content.size(),
                               ", but ", events.size(), " events were delivered"));
      return;
    }
    for (size_t o = before.segments.back().base.value(); o < events.size(); o++) {
      if (events[o] != view.content[o]) {
        Break("G6",
              absl::StrCat(EventId(events[o]), " was delivered at ", Where(partition, Offset(o)),
                           ", where the chain has ", EventId(view.content[o]), " now"));
      }
    }
  }
  CheckDurable(partition, view);
}

void Invariants::Count(const Chain& before, const Chain& next) {
  chains_.swaps++;
  if (before.segments.empty()) return;
  const Segment& old = before.segments.back();
  const Segment& open = next.segments.back();
  if (open.epoch == old.epoch) {
    (next.segments.size() < before.segments.size() ? chains_.trims : chains_.repairs)++;
  } else if (open.owner == old.owner && open.owner_life == old.owner_life) {
    chains_.rolls++;
  } else {
    chains_.takeovers++;
  }
}

// Only these change a chain: seal and open, remove what is trimmed, replace what is empty, list
// other replicas of what is sealed.
void Invariants::CheckForm(const PartitionId& partition, const Chain& before, const Chain& next) {
  const auto wrong = [&](const std::string& what) {
    Break("chain form", absl::StrCat(partition.ToString(), ": ", what));
  };
  for (size_t i = 1; i < next.segments.size(); i++) {
    if (next.segments[i].epoch <= next.segments[i - 1].epoch) wrong("epochs do not rise");
  }
  if (next.segments.back().end) wrong("the last segment is sealed");
  std::set<NodeId> open_on;
  for (const Replica& replica : next.segments.back().replicas) open_on.insert(replica.node);
  if (!IsQuorum(next.segments.back(), open_on)) wrong("its replicas can never acknowledge");
  for (const Segment& old : before.segments) {
    const auto same = std::find_if(next.segments.begin(), next.segments.end(),
                                   [&](const Segment& s) { return s.epoch == old.epoch; });
    if (same == next.segments.end()) {
      CheckRemoved(partition, old);
      continue;
    }
    if (same->base != old.base || same->rule != old.rule || same->owner != old.owner ||
        same->owner_life != old.owner_life) {
      wrong(absl::StrCat("segment ", old.epoch.value(), " changed"));
    }
    if (old.end && same->end != old.end) wrong("a sealed end moved");
    if (!old.end && !same->end && same->replicas != old.replicas) {
      wrong("the replicas of an open segment changed");
    }
  }
  if (before.segments.empty()) return;
  const Epoch newest = before.segments.back().epoch;
  for (const Segment& segment : next.segments) {
    if (segment.epoch > newest && &segment != &next.segments.back()) wrong("two new segments");
  }
  if (next.segments.back().epoch < newest) wrong("the newest segment is gone");
}

void Invariants::CheckRemoved(const PartitionId& partition, const Segment& gone) {
  const PartitionView& view = partitions_.at(partition);
  auto acknowledged = view.acknowledged_to.find(gone.epoch);
  const Offset end = gone.end                                     ? *gone.end
                     : acknowledged != view.acknowledged_to.end() ? acknowledged->second
                                                                  : gone.base;
  if (end > gone.base && end > Floor(partition)) {
    Break("I1", absl::StrCat("segment ", gone.epoch.value(), " of ", partition.ToString(),
                             " left the chain with undelivered events up to ", end.value()));
  }
}

void Invariants::TakeSealed(const PartitionId& partition, PartitionView& view,
                            const Segment& segment) {
  const SegmentKey key{partition, segment.epoch};
  auto acknowledged = view.acknowledged_to.find(segment.epoch);
  if (acknowledged != view.acknowledged_to.end() && acknowledged->second > *segment.end) {
    Break("I1", absl::StrCat(key.ToString(), " is sealed at ", segment.end->value(),
                             ", but acknowledged to ", acknowledged->second.value()));
  }
  if (!log_.IsBoundary(key, *segment.end)) {
    Break("chain form", absl::StrCat(key.ToString(), " is sealed inside a block"));
  }
  for (Offset o(view.content.size()); o < *segment.end; o = o + 1) {
    const auto number = log_.At(key, o);
    if (!number) {
      Break("I1", absl::StrCat(key.ToString(), " is sealed at ", segment.end->value(),
                               ", but nobody ever held ", o.value()));
      return;
    }
    view.content.push_back(*number);
    EventHistory& event = events_[*number];
    if (event.sealed_at) {
      Break("I5/G3",
            absl::StrCat(EventId(*number), " is in the chain at ", Where(partition, o), " and at ",
                         Where(event.sealed_at->first, event.sealed_at->second)));
    }
    event.sealed_at = {partition, o};
    if (event.reuses) {
      Break("G3", absl::StrCat(EventId(*number), " took a sequence that was another event's"));
    }
    if (event.acknowledged_at && event.acknowledged_at != event.sealed_at) {
      Break("I1", absl::StrCat(EventId(*number), " is acknowledged at ",
                               Where(event.acknowledged_at->first, event.acknowledged_at->second),
                               " and sealed at ", Where(partition, o)));
    }
    if (event.outcome == Outcome::kNotStored) {
      Break("G2", absl::StrCat(EventId(*number), " was said to be not stored, but is sealed at ",
                               Where(partition, o)));
    }
    auto [last, is_first] = view.last_sealed.try_emplace(event.producer, *number);
    if (!is_first && last->second > *number) {
      Break("G4", absl::StrCat(EventId(*number), " comes after ", EventId(last->second), " in ",
                               partition.ToString()));
    }
    last->second = *number;
  }
}

void Invariants::OnDelivered(const SinkId& sink, const PartitionId& partition, Offset first,
                             absl::Span<const Event> events) {
  SinkView& view = delivered_.at({sink, partition});
  for (size_t i = 0; i < events.size(); i++) {
    const EventNumber number = NumberOf(events[i]);
    const Offset offset = first + i;
    if (offset != Offset(view.events.size())) {
      Break("G5", absl::StrCat("the sink received ", Where(partition, offset), " after ",
                               view.events.size(), " events"));
      return;
    }
    if (Committed(partition, offset) != number) {
      Break("G6", absl::StrCat(EventId(number), " is delivered at ", Where(partition, offset),
                               ", where it is not committed"));
    }
    const EventHistory& event = events_[number];
    if (event.outcome == Outcome::kNotStored) {
      Break("G2", absl::StrCat(EventId(number), " was said to be not stored, but is delivered"));
    }
    auto [last, is_first] = view.last.try_emplace(event.producer, number);
    if (!is_first && last->second >= number) {
      Break("G3/G4", absl::StrCat(EventId(number), " is delivered after ", EventId(last->second)));
    }
    last->second = number;
    view.events.push_back(number);
    delivered_count_++;
  }
}

void Invariants::OnLie(uint32_t checksum, const std::vector<EventNumber>& events) {
  for (const EventNumber number : events) events_[number].outcome = Outcome::kUnknown;
  log_.AddLie(checksum, events);
}

void Invariants::OnSetAside(uint32_t checksum) {
  for (const EventNumber number : log_.LieOf(checksum)) events_[number].set_aside = true;
}

void Invariants::OnPassedOver(const SinkId& sink, const PartitionId& partition, Offset first,
                              Offset last) {
  SinkView& view = delivered_.at({sink, partition});
  for (Offset offset = first; offset <= last; offset = offset + 1) {
    if (offset != Offset(view.events.size())) {
      Break("G5", absl::StrCat("the sink passes over ", Where(partition, offset), " after ",
                               view.events.size(), " events"));
      return;
    }
    const auto number = Committed(partition, offset);
    if (!number || !events_[*number].set_aside) {
      Break("G8", absl::StrCat(Where(partition, offset),
                               " is passed over, which no operator has set aside"));
      return;
    }
    view.events.push_back(*number);
  }
}

std::string Invariants::Undelivered() const {
  std::map<SinkId, std::set<EventNumber>> received;
  for (const auto& [key, view] : delivered_) {
    received[key.first].insert(view.events.begin(), view.events.end());
  }
  for (const SinkId& sink : sinks_) {
    for (EventNumber number = 0; number < events_.size(); number++) {
      const EventHistory& event = events_[number];
      if (event.outcome == Outcome::kAcknowledged && !received[sink].contains(number)) {
        return absl::StrCat(EventId(number), " at ",
                            Where(event.acknowledged_at->first, event.acknowledged_at->second),
                            " is acknowledged, but did not reach sink ", sink.value());
      }
    }
  }
  return "";
}

std::string Invariants::Unsettled() const {
  for (EventNumber number = 0; number < events_.size(); number++) {
    if (!events_[number].outcome) return absl::StrCat(EventId(number), " has no outcome");
  }
  return "";
}

std::string Invariants::Damaged() const {
  for (const auto& [partition, view] : partitions_) {
    const Offset floor = Floor(partition);
    for (const Segment& segment : view.chain.segments) {
      const SegmentKey key{partition, segment.epoch};
      if (segment.end && *segment.end <= floor) continue;  // about to be trimmed
      for (const Replica& replica : segment.replicas) {
        const MemoryDisk& disk = disk_of_(replica.node);
        const auto held = disk.durable.segments.find(key);
        if (held == disk.durable.segments.end()) continue;
        for (const auto& [first, block] : held->second.blocks) {
          if (segment.end && first >= *segment.end) break;
          if (!disk.damaged_blocks.contains({key, first})) continue;
          return absl::StrCat("offset ", first.value(), " of ", key.ToString(), " is damaged on ",
                              replica.node.value());
        }
        if (disk.damaged_snapshots.contains(key)) {
          return absl::StrCat("the snapshot of ", key.ToString(), " is damaged on ",
                              replica.node.value());
        }
      }
    }
  }
  return "";
}

std::string Invariants::UnderReplicated(size_t nodes, size_t zones) const {
  for (const auto& [partition, view] : partitions_) {
    const Offset floor = Floor(partition);
    for (const Segment& segment : view.chain.segments) {
      const SegmentKey key{partition, segment.epoch};
      auto acknowledged = view.acknowledged_to.find(segment.epoch);
      Offset end = segment.end                                  ? *segment.end
                   : acknowledged != view.acknowledged_to.end() ? acknowledged->second
                                                                : segment.base;
      if (segment.end && end <= floor) continue;  // about to be trimmed
      if (end <= std::max(segment.base, floor)) end = Offset(0);
      std::set<ZoneId> in_zones;
      size_t holders = 0;
      for (const Replica& replica : segment.replicas) {
        in_zones.insert(replica.zone);
        const MemoryDisk& disk = disk_of_(replica.node);
        const bool same = disk.marker && disk.marker->incarnation == replica.incarnation;
        // Where an open one is held, so is what the producers have sent before it.
        const bool nothing = segment.end && end.value() == 0;
        holders += nothing ? same : Holds(replica, key, end);
      }
      if (holders < nodes || in_zones.size() < zones) {
        return absl::StrCat(key.ToString(), " to ", end.value(), " is held by ", holders, " of ",
                            segment.replicas.size(), " replicas in ", in_zones.size(), " zones");
      }
    }
  }
  return "";
}

}  // namespace forebay
