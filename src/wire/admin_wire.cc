#include "wire/admin_wire.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/printable.h"
#include "base/status.h"
#include "base/utf8.h"

namespace forebay {

void ToWire(const NodeStatus& node, v1::NodeState& wire) {
  wire.set_node(node.record.id.value());
  wire.set_zone(node.record.zone.value());
  wire.set_address(node.record.address);
  wire.set_alive(node.alive);
  wire.set_draining(node.record.draining);
  wire.set_leaving(node.leaving);
  wire.set_incarnation(node.record.incarnation.value());
  wire.set_disk_full(node.record.disk_full);
  wire.set_disk_slow(node.record.disk_slow);
  if (!node.scrub.has_value()) return;
  v1::ScrubState& scrub = *wire.mutable_scrub();
  scrub.set_bytes(node.scrub->bytes);
  scrub.set_passes(node.scrub->passes);
  scrub.set_found(node.scrub->found);
  scrub.set_repaired(node.scrub->repaired);
  scrub.set_damaged_now(node.scrub->damaged_now);
  scrub.set_given_up_now(node.scrub->given_up_now);
}

NodeStatus FromWire(const v1::NodeState& wire) {
  NodeStatus node;
  node.record.id = NodeId(wire.node());
  node.record.zone = ZoneId(wire.zone());
  node.record.address = wire.address();
  node.record.draining = wire.draining();
  node.record.incarnation = Incarnation(wire.incarnation());
  node.leaving = wire.leaving();
  node.record.disk_full = wire.disk_full();
  node.record.disk_slow = wire.disk_slow();
  node.alive = wire.alive();
  if (wire.has_scrub()) {
    const v1::ScrubState& scrub = wire.scrub();
    node.scrub = ScrubStats{scrub.bytes(),    scrub.passes(),      scrub.found(),
                            scrub.repaired(), scrub.damaged_now(), scrub.given_up_now()};
  }
  return node;
}

void ToWire(const PartitionStatus& partition, v1::PartitionState& wire) {
  wire.set_stream(partition.partition.stream.value());
  wire.set_partition(partition.partition.index);
  wire.set_chain_version(partition.chain_version);
  for (const Segment& segment : partition.chain.segments) {
    v1::SegmentState& out = *wire.add_segments();
    out.set_epoch(segment.epoch.value());
    out.set_base(segment.base.value());
    if (segment.end.has_value()) out.set_end(segment.end->value());
    out.set_owner(segment.owner.value());
    out.set_ack_copies(static_cast<uint32_t>(segment.rule.ack_copies));
    out.set_ack_zones(static_cast<uint32_t>(segment.rule.ack_zones));
    for (const Replica& replica : segment.replicas) {
      v1::ReplicaState& copy = *out.add_replicas();
      copy.set_node(replica.node.value());
      copy.set_zone(replica.zone.value());
      copy.set_incarnation(replica.incarnation.value());
    }
    const auto holders = partition.holders.find(segment.epoch);
    if (holders == partition.holders.end()) continue;
    for (const NodeId& node : holders->second) out.add_holders(node.value());
  }
  wire.set_owned_here(partition.owned_here);
  wire.set_committed(partition.committed.value());
  wire.set_trim_floor(partition.trim_floor.value());
  wire.set_under_replicated(static_cast<uint32_t>(partition.under_replicated));
  for (const NodeId& node : partition.in_sync) wire.add_in_sync(node.value());
  wire.set_copies(static_cast<uint32_t>(partition.copies));
  wire.set_ack_copies(static_cast<uint32_t>(partition.asked.ack_copies));
  wire.set_ack_zones(static_cast<uint32_t>(partition.asked.ack_zones));
}

PartitionStatus FromWire(const v1::PartitionState& wire) {
  PartitionStatus partition;
  partition.partition = {StreamId(wire.stream()), wire.partition()};
  partition.chain_version = wire.chain_version();
  for (const v1::SegmentState& in : wire.segments()) {
    Segment segment;
    segment.epoch = Epoch(in.epoch());
    segment.base = Offset(in.base());
    if (in.has_end()) segment.end = Offset(in.end());
    segment.owner = NodeId(in.owner());
    segment.rule = {static_cast<int>(in.ack_copies()), static_cast<int>(in.ack_zones())};
    for (const v1::ReplicaState& copy : in.replicas()) {
      segment.replicas.push_back(
          {NodeId(copy.node()), Incarnation(copy.incarnation()), ZoneId(copy.zone())});
    }
    if (segment.end.has_value() && wire.owned_here()) {
      std::vector<NodeId>& holders = partition.holders[segment.epoch];
      for (const std::string& node : in.holders()) holders.emplace_back(node);
    }
    partition.chain.segments.push_back(std::move(segment));
  }
  partition.owned_here = wire.owned_here();
  partition.committed = Offset(wire.committed());
  partition.trim_floor = Offset(wire.trim_floor());
  partition.under_replicated = static_cast<int>(wire.under_replicated());
  for (const std::string& node : wire.in_sync()) partition.in_sync.emplace_back(node);
  partition.copies = static_cast<int>(wire.copies());
  partition.asked = {static_cast<int>(wire.ack_copies()), static_cast<int>(wire.ack_zones())};
  return partition;
}

void ToWire(const SinkState& sink, v1::SinkState& wire) {
  wire.set_sink(sink.sink.value());
  wire.set_stream(sink.partition.stream.value());
  wire.set_partition(sink.partition.index);
  wire.set_cursor(sink.cursor.value());
  wire.set_lag_events(sink.lag_events);
  wire.set_oldest_undelivered_ms(
      static_cast<uint64_t>(absl::ToInt64Milliseconds(sink.oldest_undelivered)));
  wire.set_state(sink.state);
  wire.set_last_error(ToUtf8(sink.last_error));  // a downstream's words, in any encoding
  wire.set_delivered_events(sink.delivered_events);
  wire.set_dead_letter_events(sink.dead_letter_events);
  wire.set_set_aside_events(sink.set_aside_events);
}

SinkState FromWire(const v1::SinkState& wire) {
  SinkState sink;
  sink.sink = SinkId(wire.sink());
  sink.partition = {StreamId(wire.stream()), wire.partition()};
  sink.cursor = Offset(wire.cursor());
  sink.lag_events = wire.lag_events();
  sink.oldest_undelivered = absl::Milliseconds(static_cast<int64_t>(wire.oldest_undelivered_ms()));
  sink.state = wire.state();
  sink.last_error = wire.last_error();
  sink.delivered_events = wire.delivered_events();
  sink.dead_letter_events = wire.dead_letter_events();
  sink.set_aside_events = wire.set_aside_events();
  return sink;
}

void ToWire(const OwnerStages& stages, v1::StatusResponse& wire) {
  for (size_t i = 0; i < kOwnerStageNames.size(); ++i) {
    const StageStats& stats = stages.all()[i];
    v1::StageState& out = *wire.add_stages();
    out.set_stage(kOwnerStageNames[i]);
    out.set_blocks(stats.blocks);
    out.set_nanoseconds(static_cast<uint64_t>(absl::ToInt64Nanoseconds(stats.time)));
    size_t buckets = stats.histogram.size();
    while (buckets > 0 && stats.histogram[buckets - 1] == 0) --buckets;
    for (size_t b = 0; b < buckets; ++b) out.add_histogram(stats.histogram[b]);
  }
}

OwnerStages StagesIn(const v1::StatusResponse& wire) {
  OwnerStages stages;
  for (const v1::StageState& in : wire.stages()) {
    const auto name = std::find(kOwnerStageNames.begin(), kOwnerStageNames.end(), in.stage());
    if (name == kOwnerStageNames.end()) continue;
    StageStats& stats = stages.all()[static_cast<size_t>(name - kOwnerStageNames.begin())];
    stats.blocks = in.blocks();
    stats.time = absl::Nanoseconds(static_cast<int64_t>(in.nanoseconds()));
    const int buckets = std::min(in.histogram_size(), static_cast<int>(StageStats::kBuckets));
    for (int b = 0; b < buckets; ++b) stats.histogram[static_cast<size_t>(b)] = in.histogram(b);
  }
  return stages;
}

void ToWire(const MaintenanceRecord& record, v1::SetMaintenanceRequest& wire) {
  if (record.of == MaintenanceRecord::Of::kZone) {
    wire.set_zone(record.name);
  } else {
    wire.set_node(record.name);
  }
  wire.set_leaving(record.leaving);
  wire.set_replacement(record.replacement.value());
}

absl::StatusOr<MaintenanceRecord> FromWire(const v1::SetMaintenanceRequest& wire) {
  if (wire.node().empty() == wire.zone().empty()) {
    return absl::InvalidArgumentError("maintenance is of a node or of a zone: give one of them");
  }
  const bool is_zone = wire.node().empty();
  if (!wire.replacement().empty() && (is_zone || wire.replacement() == wire.node())) {
    return absl::InvalidArgumentError("a replacement is another node, and of a node, not a zone");
  }
  return MaintenanceRecord{
      .of = is_zone ? MaintenanceRecord::Of::kZone : MaintenanceRecord::Of::kNode,
      .name = is_zone ? wire.zone() : wire.node(),
      .leaving = wire.leaving(),
      .replacement = NodeId(wire.replacement())};
}

void ToWire(const StreamOptions& options, v1::CreateStreamRequest& wire) {
  wire.set_name(options.name.value());
  wire.set_partitions(options.partitions);
  wire.set_copies(static_cast<uint32_t>(options.copies));
  wire.set_ack_copies(static_cast<uint32_t>(options.ack_copies));
  wire.set_ack_zones(static_cast<uint32_t>(options.ack_zones));
  constexpr const char* kCodecs[] = {"none", "lz4", "zstd"};
  wire.set_codec(kCodecs[static_cast<size_t>(options.codec)]);
  wire.set_on_zone_shortfall(
      options.on_zone_shortfall == ZoneShortfall::kReject ? "reject" : "accept_degraded");
}

absl::StatusOr<StreamOptions> FromWire(const v1::CreateStreamRequest& wire) {
  StreamOptions options;
  options.name = StreamId(wire.name());
  if (wire.partitions() != 0) options.partitions = wire.partitions();
  if (wire.copies() != 0) options.copies = static_cast<int>(wire.copies());
  if (wire.ack_copies() != 0) options.ack_copies = static_cast<int>(wire.ack_copies());
  if (wire.ack_zones() != 0) options.ack_zones = static_cast<int>(wire.ack_zones());
  if (wire.codec() == "none") {
    options.codec = Codec::kNone;
  } else if (wire.codec() == "lz4") {
    options.codec = Codec::kLz4;
  } else if (!wire.codec().empty() && wire.codec() != "zstd") {
    return absl::InvalidArgumentError(
        absl::StrCat("codec is '", Shown(wire.codec()), "', but it must be none, lz4 or zstd"));
  }
  if (wire.on_zone_shortfall() == "accept_degraded") {
    options.on_zone_shortfall = ZoneShortfall::kAcceptDegraded;
  } else if (!wire.on_zone_shortfall().empty() && wire.on_zone_shortfall() != "reject") {
    return absl::InvalidArgumentError(absl::StrCat("on_zone_shortfall is '",
                                                   Shown(wire.on_zone_shortfall()),
                                                   "', but it must be reject or accept_degraded"));
  }
  return options;
}

}  // namespace forebay
