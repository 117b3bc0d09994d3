// Fleet: who owns and holds which partition in a fleet of any size, decided by the functions that
// nodes decide with (replication/placement.h), without nodes, time or events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "forebay/options.h"
#include "records/records.h"
#include "replication/core/placement.h"
#include "runtime/random.h"
#include "scaling/spread.h"

namespace forebay::scaling {

struct FleetOptions {
  std::vector<size_t> nodes_of_zone = {334, 333, 333};
  size_t partitions = 100'000;
  uint64_t seed = 1;  // other ids, so another placement
};

// Where the copies go that repair makes, and who makes them.
struct RepairWork {
  uint64_t copies = 0;
  Spread by_target, by_owner;
  uint64_t short_of_copies = 0;  // partitions with no node left for one
};

class Fleet {
 public:
  struct Partition {
    PartitionId id;
    Segment open;
    size_t owner = 0;  // index of a node
  };

  // Every partition created as by nodes that are all there.
  explicit Fleet(const FleetOptions& options);

  size_t zones() const { return zones_.size(); }
  const std::vector<NodeRecord>& nodes() const { return nodes_; }
  const std::vector<Partition>& partitions() const { return partitions_; }
  bool alive(size_t node) const { return alive_[node]; }
  size_t alive_count() const { return live_.size(); }
  size_t IndexOfNode(const NodeId& id) const;

  void SetZoneAlive(size_t zone, bool alive);
  void SetNodeAlive(size_t node, bool alive);
  // A new node in that zone; its index.
  size_t AddNode(size_t zone);

  // The node that takes over first.
  size_t FirstInLine(const Partition& partition) const;
  // The first nodes in line to take over.
  std::vector<size_t> Line(const Partition& partition, size_t places) const;
  // Partitions whose owner is gone go to the first in line, on a new segment. How many each live
  // node took over.
  std::vector<uint64_t> TakeOver();
  // Owners open new segments where a replica is gone, or a zone is back. How many did.
  uint64_t Roll();
  // Every owner opens a new segment, as each does when it is SegmentOptions::age_max old. How many
  // have another list of replicas than the one before.
  uint64_t RollAll();
  // One round of hand-overs for balance: each node that owns more than others gives one partition
  // away, at most (replication/balance.h). How many did.
  uint64_t Balance();
  // What is sealed on the replicas before a loss, when the nodes that are gone are given up.
  RepairWork Repair(const std::vector<Partition>& before) const;
  // Partitions that cannot be placed, or cannot acknowledge with those alive.
  uint64_t unplaced() const;

  // Of live nodes.
  Spread Owned() const;
  Spread Copies() const;
  std::vector<uint64_t> OwnedByNode() const;

 private:
  void AddNodes(const std::vector<size_t>& nodes_of_zone);
  void NodesChanged();
  bool Open(Partition& partition, size_t owner);
  TakeoverLine LineOf(const Partition& partition) const;

  const uint64_t seed_;
  Random random_;
  StreamOptions stream_;
  std::vector<ZoneId> zones_;
  std::vector<NodeRecord> nodes_;
  std::vector<bool> alive_;
  std::vector<NodeRecord> live_;
  std::map<NodeId, size_t> index_;
  std::vector<Partition> partitions_;
  uint64_t failed_ = 0;  // placements that came to nothing
};

}  // namespace forebay::scaling
