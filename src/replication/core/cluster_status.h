// What a node knows of the partitions and of the other nodes, as it is told to those who ask.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "forebay/ids.h"
#include "records/records.h"
#include "replication/core/scrubber.h"

namespace forebay {

// Where a partition stands, as this node knows it.
struct PartitionStatus {
  PartitionId partition;
  uint64_t chain_version = 0;
  Chain chain;  // empty before the partition has an owner for the first time
  bool owned_here = false;
  Offset committed;          // when owned here
  Offset trim_floor;         // when owned here
  int under_replicated = 0;  // segments with fewer confirmed live copies than the stream asks for
  std::vector<NodeId> in_sync;  // replicas of the open segment that hold all that is committed
  // Of each sealed segment that is still needed: nodes of its list known to hold it whole. When
  // owned here; a new owner knows only after it has asked them.
  std::map<Epoch, std::vector<NodeId>> holders;
  // What the stream asks for.
  int copies = 1;
  QuorumRule asked;
};

struct NodeStatus {
  NodeRecord record;
  bool alive = false;
  bool leaving = false;                  // in maintenance, itself or its zone (MaintenanceRecord)
  std::optional<ScrubStats> scrub = {};  // as the node itself says
};

}  // namespace forebay
