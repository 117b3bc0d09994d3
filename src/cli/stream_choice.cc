#include "cli/stream_choice.h"

#include <set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/units.h"

namespace forebay {

absl::StatusOr<StreamId> ChooseStream(RemoteCluster& cluster, const std::string& name) {
  const absl::StatusOr<ClusterStatus> status = cluster.Status(absl::Seconds(5));
  if (!status.ok()) return status.status();
  std::set<std::string> names;
  for (const PartitionStatus& partition : status->partitions) {
    names.insert(partition.partition.stream.value());
  }
  if (names.contains(name)) return StreamId(name);
  std::vector<std::string> ordinary;
  for (const std::string& known : names) {
    if (!absl::EndsWith(known, ".dead-letter")) ordinary.push_back(known);
  }
  if (name.empty() && ordinary.size() == 1) return StreamId(ordinary[0]);
  // The node that was asked may have heard of it only just now.
  if (!name.empty()) {
    const auto partitions = cluster.PartitionCount(StreamId(name), absl::Seconds(5));
    if (partitions.ok()) return StreamId(name);
    if (!absl::IsNotFound(partitions.status())) return partitions.status();
  }
  const std::string list = ordinary.empty()
                               ? "there are none; 'forebay admin create-stream' makes one"
                               : "there are " + absl::StrJoin(ordinary, ", ");
  if (name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("name the stream with --stream: ", list));
  }
  const std::string nearest = Nearest(name, ordinary);
  return absl::NotFoundError(
      absl::StrCat("no stream '", name, "'; ",
                   nearest.empty() ? list : absl::StrCat("did you mean '", nearest, "'?")));
}

}  // namespace forebay
