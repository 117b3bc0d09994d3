// What the nodes of a cluster take while a drill lasts: a leak shows as a level that rises.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"

namespace forebay {

// Of one node: memory MiB (resident), threads, descriptors, disk MiB (its data directory).
inline constexpr std::array<const char*, 4> kLevelNames = {"memory MiB", "threads", "descriptors",
                                                           "disk MiB"};
using NodeLevels = std::array<double, kLevelNames.size()>;

// Of a process that runs, from /proc, and its directory. All zero: it does not run.
NodeLevels LevelsOf(int process, const std::string& data_directory);

// A row for each of kLevelNames: medians over all nodes in the second and in the last quarter of
// the time, so that what grows once, at the start, does not count; and the largest of any node.
struct LevelsRow {
  double second_quarter = 0, last_quarter = 0, largest = 0;
};

// Confined to one thread.
class ClusterLevels {
 public:
  // Nodes that do not run are left out.
  void Note(absl::Duration at, absl::Span<const NodeLevels> nodes);
  // Empty: fewer than one sample in each quarter.
  std::vector<LevelsRow> Rows() const;

 private:
  struct Sample {
    absl::Duration at;
    NodeLevels levels;
  };
  std::vector<Sample> samples_;  // in order of time
};

}  // namespace forebay
