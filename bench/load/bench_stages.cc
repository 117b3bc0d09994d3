#include "load/bench_stages.h"

#include <algorithm>
#include <utility>

namespace forebay {
namespace {

StageRow RowOf(std::string stage, std::string meaning, const StageStats& stats) {
  return {.stage = std::move(stage),
          .meaning = std::move(meaning),
          .mean = stats.Mean(),
          .p50 = stats.Quantile(0.5),
          .p99 = stats.Quantile(0.99)};
}

}  // namespace

std::optional<StageSnapshot> TakeStages(const ProducerStats& producers, RemoteCluster& cluster,
                                        absl::Duration limit) {
  const absl::StatusOr<ClusterStatus> status = cluster.Status(limit);
  if (!status.ok()) return std::nullopt;
  StageSnapshot snapshot{.until_sealed = producers.until_sealed,
                         .until_acknowledged = producers.until_acknowledged,
                         .owners = {}};
  for (const auto& [node, stages] : status->stages) {
    for (size_t i = 0; i < stages.all().size(); ++i) snapshot.owners.all()[i] += stages.all()[i];
  }
  return snapshot;
}

std::vector<StageRow> StagesBetween(const StageSnapshot& before, const StageSnapshot& after) {
  const StageStats sealed = after.until_sealed - before.until_sealed;
  const StageStats all = after.until_acknowledged - before.until_acknowledged;
  const auto owner = [&](OwnerStage stage) { return after.owners[stage] - before.owners[stage]; };
  const StageStats owned = owner(OwnerStage::kOwner);
  if (all.blocks == 0 || owned.blocks == 0) return {};
  // What is left is on the way there and back: encoding, gRPC, waiting for a thread.
  const absl::Duration rest =
      std::max(all.Mean() - sealed.Mean() - owned.Mean(), absl::ZeroDuration());
  return {RowOf("batch", "at the client, until the block is full or has lingered", sealed),
          RowOf("queue", "at the owner, until the block is handed on", owner(OwnerStage::kQueue)),
          RowOf("commit", "until it is synced in the owner's own log", owner(OwnerStage::kCommit)),
          RowOf("mirror", "meanwhile, until as many other replicas have it as it takes",
                owner(OwnerStage::kMirror)),
          RowOf("owner", "from its arrival until it is committed", owned),
          {.stage = "ack",
           .meaning = "the rest: to the owner, and the answer back",
           .mean = rest,
           .p50 = {},
           .p99 = {}},
          RowOf("all", "from append to acknowledgement", all)};
}

}  // namespace forebay
