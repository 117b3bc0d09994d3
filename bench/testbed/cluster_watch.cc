#include "testbed/cluster_watch.h"

#include <algorithm>
#include <utility>

#include "testbed/local_cluster.h"

namespace forebay {
namespace {

constexpr absl::Duration kStatusLimit = absl::Seconds(1);
constexpr size_t kMoments = 5;

}  // namespace

ClusterWatch::ClusterWatch(Options options, RemoteCluster& cluster, Clock& clock)
    : options_(std::move(options)), cluster_(cluster), clock_(clock), executor_("watch") {}

ClusterWatch::~ClusterWatch() { executor_.Stop(); }

void ClusterWatch::Start() {
  executor_.Post([this] { Look(); });
}

void ClusterWatch::Look() {
  const ClusterSample sample = Sample();
  {
    MutexLock lock(mutex_);
    samples_.push_back(sample);
  }
  const absl::Duration wait = sample.at + options_.every - clock_.Now();
  executor_.PostAfter(std::max(wait, absl::ZeroDuration()), [this] { Look(); });
}

ClusterSample ClusterWatch::Sample() {
  ClusterSample sample{.at = clock_.Now()};
  // Asked for before the cursors, which may pass it meanwhile: then nothing lags.
  const uint64_t acknowledged = options_.acknowledged();
  const std::set<NodeId> nodes = options_.nodes();
  absl::StatusOr<ClusterStatus> status = cluster_.Status(kStatusLimit);
  int owned = 0;
  if (status.ok()) {
    std::erase_if(status->nodes, [&](const auto& node) { return !nodes.contains(node.record.id); });
    std::erase_if(status->silent, [&](const auto& node) { return !nodes.contains(node.first); });
    for (const SinkState& sink : status->sinks) {
      if (sink.sink != options_.sink) continue;
      Offset& cursor = cursors_[sink.partition];
      cursor = std::max(cursor, sink.cursor);
    }
    for (const PartitionStatus& partition : status->partitions) {
      owned += partition.partition.stream == options_.stream.name && partition.owned_here ? 1 : 0;
    }
    NoteCopies(*status, sample);
    sample.nodes_silent = static_cast<int>(status->silent.size());
    sample.all_up = status->nodes.size() == nodes.size() && AllUp(*status, options_.stream);
  } else {
    sample.nodes_silent = static_cast<int>(nodes.size());
  }
  sample.without_owner = static_cast<int>(options_.stream.partitions) - owned;
  uint64_t delivered = 0;
  for (const auto& [partition, cursor] : cursors_) delivered += cursor.value();
  sample.lag_events = acknowledged > delivered ? acknowledged - delivered : 0;
  return sample;
}

void ClusterWatch::NoteCopies(const ClusterStatus& status, ClusterSample& sample) {
  for (const PartitionStatus& partition : status.partitions) {
    Copies& copies = copies_[partition.partition];
    copies.missing.push_back(partition.under_replicated);
    if (copies.missing.size() > kMoments) copies.missing.pop_front();
    sample.under_replicated += *std::min_element(copies.missing.begin(), copies.missing.end());
    const bool whole = partition.owned_here || partition.partition.stream != options_.stream.name;
    if (whole && HasAllCopies(partition, options_.stream, status.nodes.size())) {
      copies.whole_at = sample.at;
    }
  }
  sample.whole_at = absl::InfiniteFuture();
  for (const auto& [partition, copies] : copies_) {
    sample.whole_at = std::min(sample.whole_at, copies.whole_at);
  }
}

std::vector<ClusterSample> ClusterWatch::samples() const {
  MutexLock lock(mutex_);
  return samples_;
}

ClusterSample ClusterWatch::last() const {
  MutexLock lock(mutex_);
  return samples_.empty() ? ClusterSample{} : samples_.back();
}

}  // namespace forebay
