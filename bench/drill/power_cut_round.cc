// Rounds in which all nodes lose their power at once.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "drill/round_kind.h"
#include "testbed/local_disk.h"

namespace forebay {
namespace {

absl::Status Prepare(const DrillOptions&, LocalClusterOptions& cluster) {
  const absl::Status disks = LocalDisk::Allow();
  if (!disks.ok()) {
    return absl::UnavailableError(absl::StrCat(
        "power cannot be cut here: ", disks.message(),
        ". Run it as root where loop devices can be mounted. 'forebay drill --chaos' kills nodes "
        "without that, which loses nothing that the kernel has taken"));
  }
  cluster.disks = true;
  return absl::OkStatus();
}

// Also for so short that no node would be missed, and for so long that all would.
absl::Status Run(RoundStage& stage) {
  LocalCluster& cluster = stage.cluster();
  const std::vector<std::string> nodes = cluster.node_names();
  const absl::Duration off = stage.random().Between(absl::Milliseconds(100), absl::Seconds(2));
  const absl::Time began = stage.bed().clock().Now();
  stage.Begin(absl::StrFormat("power of all %d nodes cut", nodes.size()));
  FOREBAY_RETURN_IF_ERROR(cluster.CutPower(nodes));
  for (const std::string& member : cluster.etcd_names()) cluster.Kill(member);
  stage.InEffect();
  FOREBAY_RETURN_IF_ERROR(stage.Spend(off));
  for (const std::string& member : cluster.etcd_names()) {
    FOREBAY_RETURN_IF_ERROR(cluster.Start(member));
  }
  FOREBAY_RETURN_IF_ERROR(cluster.RestorePower(nodes));
  stage.End();
  // Longer than was asked for, as their file systems have to recover.
  stage.Describe(absl::StrFormat("power of all %d nodes off for %.1f s", nodes.size(),
                                 absl::ToDoubleSeconds(stage.bed().clock().Now() - began)));
  return absl::OkStatus();
}

}  // namespace

RoundKind PowerCutRounds() {
  return {.name = "power-cut",
          .meaning =
              "all nodes lose power at the same time, and with it what they had not synced; needs "
              "root and loop devices",
          .prepare = Prepare,
          .run = Run};
}

}  // namespace forebay
