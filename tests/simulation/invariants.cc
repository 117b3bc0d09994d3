#include "simulation/invariants.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace forebay {
namespace {

std::string Where(const PartitionId& partition, Offset offset) {
  return absl::StrCat(partition.ToString(), ":", offset.value());
}

const Segment* FindEpoch(const Chain& chain, Epoch epoch) {
  for (const Segment& segment : chain.segments) {
    if (segment.epoch == epoch) return &segment;
  }
  return nullptr;
}

}  // namespace

Invariants::Invariants(const MemoryMetadata& metadata, DiskOf disk_of,
                       std::map<StreamId, StreamOptions> streams, std::vector<SinkId> sinks)
    : metadata_(metadata), disk_of_(std::move(disk_of)), sinks_(std::move(sinks)) {
  for (const auto& [id, options] : streams) {
    for (uint32_t i = 0; i < options.partitions; i++) {
      partitions_[{id, i}];
      for (const SinkId& sink : sinks_) delivered_[{sink, {id, i}}];
    }
  }
}

void Invariants::Break(const std::string& invariant, const std::string& how) {
  if (!broken_) broken_ = absl::StrCat(invariant, ": ", how);
}

EventNumber Invariants::AddEvent(int producer, bool reuses) {
  events_.push_back({.producer = producer, .reuses = reuses});
  return static_cast<EventNumber>(events_.size() - 1);
}

void Invariants::OnOutcome(EventNumber number, const AppendResult& result) {
  EventHistory& event = events_[number];
  if (event.outcome) Break("G2", absl::StrCat(EventId(number), " has two outcomes"));
  event.outcome = result.outcome;
  if (result.status.ok() != (result.outcome == Outcome::kAcknowledged)) {
    Break("G2", absl::StrCat(EventId(number), ": outcome and status disagree"));
  }
  if (result.outcome == Outcome::kAcknowledged) {
    acknowledged_count_++;
    const bool elsewhere = event.acknowledged_at != std::make_pair(result.partition, result.offset);
    if (result.offset_known ? elsewhere : !event.acknowledged_at && !event.sealed_at) {
      Break("G1", absl::StrCat(EventId(number), " is acknowledged at ",
                               Where(result.partition, result.offset), ", where no node did"));
    }
  }
  if (result.outcome == Outcome::kNotStored && (event.sealed_at || event.acknowledged_at)) {
    Break("G2", absl::StrCat(EventId(number), " is said to be not stored, but it is"));
  }
}

bool Invariants::IsStored(const Block& block) const {
  const auto events = block.Decode();
  FOREBAY_CHECK(events.ok(), "a block of the workload does not decode");
  return std::any_of(events->begin(), events->end(), [this](const Event& each) {
    const EventHistory& event = events_[NumberOf(each)];
    return event.acknowledged_at || event.sealed_at;
  });
}

void Invariants::OnNodeAnswer(const PartitionId& partition, const Block& block,
                              const AppendResult& result, bool stored) {
  // What is refused for good is not stored. A refusal that says "send it elsewhere" is only about
  // this attempt.
  const bool for_good =
      result.outcome == Outcome::kNotStored && absl::IsFailedPrecondition(result.status);
  auto events = block.Decode();
  FOREBAY_CHECK(events.ok(), "a block of the workload does not decode");
  const EventNumber first_event = NumberOf(events->front());
  if (for_good && stored) {
    Break("G2", absl::StrCat(EventId(first_event), " is stored, and refused by a node: ",
                             std::string(result.status.message())));
  }
  // Where nobody can compare the events any more, those under the same sequence count as the same.
  if (result.outcome != Outcome::kAcknowledged || events_[first_event].reuses) return;
  if (!result.offset_known) {
    if (IsStored(block)) return;
    return Break("G1", absl::StrCat(EventId(first_event),
                                    " is acknowledged without an offset, but not stored"));
  }
  PartitionView& view = partitions_.at(partition);
  acknowledged_blocks_.emplace_back(partition, block);
  for (size_t i = 0; i < events->size(); i++) {
    const EventNumber number = NumberOf((*events)[i]);
    const auto at = std::make_pair(partition, result.offset + i);
    EventHistory& event = events_[number];
    if (event.acknowledged_at && event.acknowledged_at != at) {
      Break("I1", absl::StrCat(EventId(number), " is acknowledged at ", Where(partition, at.second),
                               " and at ", Where(partition, event.acknowledged_at->second)));
    }
    event.acknowledged_at = at;
    if (Committed(partition, at.second) != number) {
      Break("G1", absl::StrCat(EventId(number), " is acknowledged at ", Where(partition, at.second),
                               ", where the chain does not hold it on an ack quorum"));
    }
  }
  if (view.chain.segments.empty()) return;
  const Offset end = result.offset + events->size();
  const Segment& open = view.chain.segments.back();
  if (end > open.base) {
    Offset& acknowledged = view.acknowledged_to[open.epoch];
    acknowledged = std::max(acknowledged, end);
  }
}

void Invariants::OnDisk(const NodeId& node) {
  const MemoryDisk& disk = disk_of_(node);
  auto& seen = seen_[node];
  std::erase_if(seen,
                [&](const auto& entry) { return !disk.durable.segments.contains(entry.first); });
  for (const auto& [key, segment] : disk.durable.segments) {
    auto known = seen.try_emplace(key, segment.extent.start).first;
    Offset& tail = known->second;
    if (tail >= segment.extent.tail) continue;
    for (auto at = segment.blocks.lower_bound(tail); at != segment.blocks.end(); ++at) {
      if (auto wrong = log_.Add(key, {at->first, at->second})) {
        Break("I3", absl::StrCat("node ", node.value(), ": ", *wrong));
      }
    }
    tail = segment.extent.tail;
  }
  CheckExtents(node);
  for (const auto& [partition, view] : partitions_) CheckDurable(partition, view);
}

// G8: nothing goes before every sink has it.
void Invariants::CheckExtents(const NodeId& node) {
  const MemoryDisk& disk = disk_of_(node);
  for (const auto& [key, segment] : disk.durable.segments) {
    const PartitionView& view = partitions_.at(key.partition);
    const Segment* listed = FindEpoch(view.chain, key.epoch);
    if (listed == nullptr) continue;
    if (segment.extent.start > std::max(listed->base, Floor(key.partition))) {
      Break("G8", absl::StrCat("node ", node.value(), " trimmed ", key.ToString(), " to ",
                               segment.extent.start.value(), ", but a sink stands at ",
                               Floor(key.partition).value()));
    }
  }
}

void Invariants::OnWipe(const NodeId& node) {
  const MemoryDisk& disk = disk_of_(node);
  seen_.erase(node);
  if (!disk.marker) return;
  // A takeover may have been told of a copy that the chain does not name yet.
  for (const auto& [key, segment] : disk.durable.segments) {
    // A disk that lied about syncs lost its copy's end before it was emptied.
    Offset& tail = lost_[key][{node, disk.marker->incarnation}];
    tail = std::max(tail, segment.extent.tail);
  }
}

bool Invariants::Holds(const Replica& replica, const SegmentKey& key, Offset end) const {
  const MemoryDisk& disk = disk_of_(replica.node);
  if (!disk.marker || disk.marker->incarnation != replica.incarnation) return false;
  auto segment = disk.durable.segments.find(key);
  return segment != disk.durable.segments.end() && segment->second.extent.tail >= end;
}

bool Invariants::IsQuorum(const Segment& segment, const std::set<NodeId>& nodes) {
  std::set<ZoneId> zones;
  int copies = 0;
  for (const Replica& replica : segment.replicas) {
    if (!nodes.contains(replica.node)) continue;
    copies++;
    zones.insert(replica.zone);
  }
  return copies >= segment.rule.ack_copies &&
         static_cast<int>(zones.size()) >= segment.rule.ack_zones;
}

std::set<NodeId> Invariants::Holders(const SegmentKey& key, const Segment& segment,
                                     Offset end) const {
  std::set<NodeId> holders;
  for (const Replica& replica : segment.replicas) {
    if (Holds(replica, key, end)) holders.insert(replica.node);
  }
  return holders;
}

bool Invariants::IsSafe(const SegmentKey& key, const Segment& segment, Offset end) const {
  std::set<NodeId> holders = Holders(key, segment, end);
  if (IsQuorum(segment, holders)) return true;
  auto lost = lost_.find(key);
  if (lost == lost_.end() || holders.empty()) return false;
  for (const Replica& replica : segment.replicas) {
    const auto copy = lost->second.find({replica.node, replica.incarnation});
    if (copy != lost->second.end() && copy->second >= end) holders.insert(replica.node);
  }
  return IsQuorum(segment, holders);
}

// I1/G1: what is acknowledged or sealed has an ack quorum of copies, less what a wipe took.
void Invariants::CheckCopies(const PartitionId& partition, const Segment& segment, Offset end) {
  if (end <= std::max(segment.base, Floor(partition))) return;
  const SegmentKey key{partition, segment.epoch};
  if (IsSafe(key, segment, end)) return;
  Break("I1/G1", absl::StrCat(key.ToString(), " to ", end.value(), " is held by ",
                              Holders(key, segment, end).size(), " of ", segment.replicas.size(),
                              " replicas"));
}

void Invariants::CheckDurable(const PartitionId& partition, const PartitionView& view) {
  for (const Segment& segment : view.chain.segments) {
    auto acknowledged = view.acknowledged_to.find(segment.epoch);
    const Offset end = segment.end                                  ? *segment.end
                       : acknowledged != view.acknowledged_to.end() ? acknowledged->second
                                                                    : segment.base;
    CheckCopies(partition, segment, end);
  }
}

std::optional<EventNumber> Invariants::Committed(const PartitionId& partition,
                                                 Offset offset) const {
  const PartitionView& view = partitions_.at(partition);
  if (offset.value() < view.content.size()) return view.content[offset.value()];
  if (view.chain.segments.empty()) return std::nullopt;
  const Segment& open = view.chain.segments.back();
  const SegmentKey key{partition, open.epoch};
  if (!IsSafe(key, open, offset + 1)) return std::nullopt;
  return log_.At(key, offset);
}

Offset Invariants::Floor(const PartitionId& partition) const {
  std::optional<Offset> floor;
  for (const SinkId& sink : sinks_) {
    const Offset next(delivered_.at({sink, partition}).events.size());
    floor = floor ? std::min(*floor, next) : next;
  }
  return floor.value_or(Offset(0));
}

const Chain* Invariants::ChainOf(const PartitionId& partition) const {
  return &partitions_.at(partition).chain;
}

}  // namespace forebay
