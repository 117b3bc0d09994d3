#include "node/node_metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <exception>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/mutex.h"

namespace forebay {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<prometheus::ClientMetric::Label>;

// What the node answers about its partitions, for a thread that may wait.
struct Answer {
  Mutex mutex;
  CondVar changed;
  bool there ABSL_GUARDED_BY(mutex) = false;
  std::vector<PartitionStatus> partitions ABSL_GUARDED_BY(mutex);
  std::vector<SinkState> sinks ABSL_GUARDED_BY(mutex);
};

class Families {
 public:
  // Samples of one name come one after the other.
  void Add(const std::string& name, const std::string& help, MetricType type, double value,
           Labels labels = {}) {
    if (families_.empty() || families_.back().name != name) {
      families_.push_back({.name = name, .help = help, .type = type, .metric = {}});
    }
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = value;
    metric.gauge.value = value;
    families_.back().metric.push_back(std::move(metric));
  }
  void Counter(const std::string& name, const std::string& help, uint64_t value,
               Labels labels = {}) {
    Add(name, help, MetricType::Counter, static_cast<double>(value), std::move(labels));
  }
  void Gauge(const std::string& name, const std::string& help, double value, Labels labels = {}) {
    Add(name, help, MetricType::Gauge, value, std::move(labels));
  }
  // With powers of two as bounds, from 64 us to 16 s.
  void Histogram(const std::string& name, const std::string& help, const StageStats& stats,
                 Labels labels) {
    Add(name, help, MetricType::Histogram, 0, std::move(labels));
    prometheus::ClientMetric::Histogram& out = families_.back().metric.back().histogram;
    out.sample_count = stats.blocks;
    out.sample_sum = absl::ToDoubleSeconds(stats.time);
    uint64_t below = 0;
    size_t next = 0;
    for (absl::Duration bound = absl::Microseconds(64); bound < absl::Seconds(20); bound *= 2) {
      while (next < StageStats::kBuckets && StageStats::UpperBound(next) <= bound) {
        below += stats.histogram[next++];
      }
      out.bucket.push_back(
          {.cumulative_count = below, .upper_bound = absl::ToDoubleSeconds(bound)});
    }
    out.bucket.push_back(
        {.cumulative_count = stats.blocks, .upper_bound = std::numeric_limits<double>::infinity()});
  }
  std::vector<MetricFamily> Take() { return std::move(families_); }

 private:
  std::vector<MetricFamily> families_;
};

class Collector final : public prometheus::Collectable {
 public:
  explicit Collector(NodeAssembly& node) : node_(node) {}

  std::vector<MetricFamily> Collect() const override {
    Families out;
    const NodeStats stats = node_.stats();
    Producers(stats, out);
    out.Counter("forebay_wal_appended_bytes_total", "Bytes of blocks given to the store.",
                stats.wal.appended_bytes);
    out.Counter("forebay_wal_syncs_total", "Syncs of the write-ahead log.", stats.wal.syncs);
    out.Gauge("forebay_wal_queued_bytes", "Accepted by the store and not durable yet.",
              static_cast<double>(stats.wal.queued_bytes));
    out.Gauge("forebay_wal_oldest_write_seconds",
              "How long the oldest write that is not durable waits.",
              absl::ToDoubleSeconds(stats.wal.oldest_wait));
    out.Gauge("forebay_disk_used_bytes", "Of the data directory's file system.",
              static_cast<double>(stats.disk.used_bytes));
    out.Gauge("forebay_disk_free_bytes", "Of the data directory's file system.",
              static_cast<double>(stats.disk.free_bytes));
    Scrub(stats.scrub, out);
    Stages(stats, out);
    out.Counter("forebay_peer_messages_dropped_total", "Messages to peers that were dropped.",
                stats.messages.dropped_messages);
    out.Gauge("forebay_connections", "Of nodes and clients to this node.",
              static_cast<double>(stats.connections.open));
    out.Counter("forebay_connections_refused_total",
                "Closed at once, as limits.connections_max were open.", stats.connections.refused);
    int alive = 0, full = 0, slow = 0;
    const std::vector<NodeStatus> nodes = node_.Nodes();
    for (const NodeStatus& node : nodes) {
      alive += node.alive ? 1 : 0;
      full += node.record.disk_full ? 1 : 0;
      slow += node.record.disk_slow ? 1 : 0;
    }
    out.Gauge("forebay_nodes", "Registered nodes.", static_cast<double>(nodes.size()));
    out.Gauge("forebay_nodes_alive", "Nodes that this node hears of.", alive);
    out.Gauge("forebay_nodes_disk_full", "Nodes that take no appends because of it.", full);
    out.Gauge("forebay_nodes_disk_slow", "Nodes that leave owning to others because of it.", slow);
    Partitions(out);
    return out.Take();
  }

 private:
  static void Producers(const NodeStats& stats, Families& out) {
    const auto each = [&](const std::string& name, const std::string& help,
                          uint64_t ProducerStats::*field) {
      out.Counter(name, help, stats.producer.*field, {{"source", "linked"}});
      out.Counter(name, help, stats.service.*field, {{"source", "service"}});
    };
    each("forebay_appended_events_total", "Events given to this node's own producers.",
         &ProducerStats::appended_events);
    each("forebay_acknowledged_events_total", "Of these, acknowledged.",
         &ProducerStats::acknowledged_events);
    each("forebay_not_stored_events_total", "Of these, reported as not stored.",
         &ProducerStats::not_stored_events);
    each("forebay_unknown_events_total", "Of these, reported as unknown.",
         &ProducerStats::unknown_events);
    each("forebay_retried_blocks_total", "Blocks that were sent again.",
         &ProducerStats::blocks_retried);
  }

  static void Scrub(const ScrubStats& scrub, Families& out) {
    out.Counter("forebay_scrub_bytes_total", "Read by the scrub.", scrub.bytes);
    out.Counter("forebay_scrub_passes_total", "Through all that the node stores.", scrub.passes);
    out.Counter("forebay_damage_found_total", "Damaged blocks, snapshots and files.", scrub.found);
    out.Counter("forebay_damage_repaired_total", "Of these, written again.", scrub.repaired);
    out.Gauge("forebay_damaged", "Blocks and snapshots that are damaged now.",
              static_cast<double>(scrub.damaged_now));
    out.Gauge("forebay_damaged_everywhere",
              "Of these, ones that no other replica could give so far.",
              static_cast<double>(scrub.given_up_now));
  }

  static void Stages(const NodeStats& stats, Families& out) {
    const std::string name = "forebay_stage_seconds";
    const std::string help =
        "How long blocks took for a stage of their way: on their owner, and from the append of "
        "their oldest event to this node's own producers.";
    for (size_t i = 0; i < kOwnerStageNames.size(); ++i) {
      out.Histogram(name, help, stats.stages.all()[i], {{"stage", kOwnerStageNames[i]}});
    }
    StageStats sealed = stats.producer.until_sealed;
    StageStats acknowledged = stats.producer.until_acknowledged;
    out.Histogram(name, help, sealed += stats.service.until_sealed, {{"stage", "batch"}});
    out.Histogram(name, help, acknowledged += stats.service.until_acknowledged,
                  {{"stage", "append"}});
  }

  // Of the partitions this node owns.
  void Partitions(Families& out) const {
    const auto answer = std::make_shared<Answer>();  // shared with a late answer
    node_.Status([answer](std::vector<PartitionStatus> partitions, std::vector<SinkState> sinks) {
      MutexLock lock(answer->mutex);
      answer->partitions = std::move(partitions);
      answer->sinks = std::move(sinks);
      answer->there = true;
      answer->changed.SignalAll();
    });
    MutexLock lock(answer->mutex);
    // A node that is too busy for a second leaves these out of one scrape.
    if (!answer->there) answer->changed.WaitFor(answer->mutex, absl::Seconds(1));
    if (!answer->there) return;
    int owned = 0, under_replicated = 0;
    for (const PartitionStatus& partition : answer->partitions) {
      if (!partition.owned_here) continue;
      ++owned;
      under_replicated += partition.under_replicated;
    }
    out.Gauge("forebay_owned_partitions", "Partitions this node owns.", owned);
    out.Gauge("forebay_under_replicated_segments",
              "Segments of owned partitions with fewer copies than asked for.", under_replicated);
    for (const PartitionStatus& partition : answer->partitions) {
      if (!partition.owned_here) continue;
      out.Gauge("forebay_committed_offset", "Everything below is durable.",
                static_cast<double>(partition.committed.value()),
                {{"partition", partition.partition.ToString()}});
    }
    Sinks(answer->sinks, out);
  }

  static void Sinks(const std::vector<SinkState>& sinks, Families& out) {
    const auto each = [&](const std::string& name, const std::string& help, MetricType type,
                          const auto& value) {
      for (const SinkState& sink : sinks) {
        out.Add(name, help, type, static_cast<double>(value(sink)),
                {{"sink", sink.sink.value()}, {"partition", sink.partition.ToString()}});
      }
    };
    each("forebay_sink_delivered_events_total", "Delivered since this node owns the partition.",
         MetricType::Counter, [](const SinkState& s) { return s.delivered_events; });
    each("forebay_sink_dead_letter_events_total", "Refused by the sink, and kept as dead letters.",
         MetricType::Counter, [](const SinkState& s) { return s.dead_letter_events; });
    each("forebay_sink_set_aside_events_total",
         "Passed over in blocks that cannot be decoded, on an operator's word.",
         MetricType::Counter, [](const SinkState& s) { return s.set_aside_events; });
    for (const SinkState& sink : sinks) {
      if (!sink.needs_operator) continue;
      out.Add("forebay_sink_needs_operator", "Delivery waits for an operator, and why.",
              MetricType::Gauge, 1,
              {{"sink", sink.sink.value()},
               {"partition", sink.partition.ToString()},
               {"cause", sink.state}});
    }
    each("forebay_sink_lag_events", "Committed and not delivered.", MetricType::Gauge,
         [](const SinkState& s) { return s.lag_events; });
    each("forebay_sink_oldest_undelivered_seconds", "Age of the oldest of them.", MetricType::Gauge,
         [](const SinkState& s) { return absl::ToDoubleSeconds(s.oldest_undelivered); });
  }

  NodeAssembly& node_;
};

class ServedMetrics final : public NodeMetrics {
 public:
  ServedMetrics(const std::string& listen, NodeAssembly& node)
      : collector_(std::make_shared<Collector>(node)), exposer_(listen, 1) {
    exposer_.RegisterCollectable(collector_);
  }

 private:
  const std::shared_ptr<Collector> collector_;  // the exposer wants a weak pointer
  prometheus::Exposer exposer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<NodeMetrics>> NodeMetrics::Serve(const std::string& listen,
                                                                NodeAssembly& node) {
  try {
    return std::make_unique<ServedMetrics>(listen, node);
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        absl::StrCat("metrics.listen: cannot listen at ", listen, ": ", error.what()));
  }
}

}  // namespace forebay
