// The records of the metadata store: nodes, streams, chains. Their JSON form is in docs/FORMATS.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "forebay/ids.h"
#include "forebay/options.h"

namespace forebay {

struct NodeRecord {
  NodeId id;
  ZoneId zone;
  std::string address;  // what peers and clients dial
  Incarnation incarnation;
  ProcessLife life;
  bool draining = false;   // takes over nothing and gets no new segments
  bool disk_full = false;  // takes no appends; gets new segments only where nobody else can
  bool disk_slow = false;  // owns only what nobody else can own
  // Drawn again whenever damage is found in what it holds; 0: none since its process began. What it
  // said to hold before is asked again.
  uint64_t damage = 0;
  // What the node's build understands, a number that rises; 0: a build from before it was said. 1:
  // reads producers' snapshots of format 2 (docs/FORMATS.md).
  int level = 0;
  friend bool operator==(const NodeRecord&, const NodeRecord&) = default;
};

// A replica of a segment. The zone is written down so that quorums need no other record.
struct Replica {
  NodeId node;
  Incarnation incarnation;
  ZoneId zone;
  friend bool operator==(const Replica&, const Replica&) = default;
};

// What an acknowledgement in a segment took. Fixed when it was opened; every quorum about the
// segment uses it (docs/design/model.md#guards, segment-rule).
struct QuorumRule {
  int ack_copies = 2;
  int ack_zones = 2;
  friend bool operator==(const QuorumRule&, const QuorumRule&) = default;
};

struct Segment {
  Epoch epoch;
  Offset base;
  std::optional<Offset> end;  // nothing while open
  QuorumRule rule;
  std::vector<Replica> replicas;
  NodeId owner;
  ProcessLife owner_life;
  friend bool operator==(const Segment&, const Segment&) = default;
};

// Oldest first; all but the last are sealed, each ends where the next begins. Never empty.
struct Chain {
  std::vector<Segment> segments;
  friend bool operator==(const Chain&, const Chain&) = default;
};
// nullptr: the chain has none of that epoch.
const Segment* FindSegment(const Chain& chain, Epoch epoch);

// An operator's word that a node, or all nodes of a zone, are to be emptied. It outlives their
// restarts; nodes of the zone that register later are meant too.
struct MaintenanceRecord {
  enum class Of { kNode, kZone };
  Of of = Of::kNode;
  std::string name;
  bool leaving = false;  // false: it was called off
  NodeId replacement;    // of a node: gets its copies rather than others; may be empty
  friend bool operator==(const MaintenanceRecord&, const MaintenanceRecord&) = default;
};

// A committed block that an operator has set aside, because no reader can decode it: sinks and
// tails pass over exactly this block. Its bytes are kept in the dead-letter stream.
struct SetAsideBlock {
  Offset first;
  Offset end;
  uint32_t checksum = 0;
  friend bool operator==(const SetAsideBlock&, const SetAsideBlock&) = default;
};

// All of a partition, in order of offsets.
struct SetAsideRecord {
  static constexpr size_t kBlocksMax = 1000;
  std::vector<SetAsideBlock> blocks;
  friend bool operator==(const SetAsideRecord&, const SetAsideRecord&) = default;
};

// "nodes/a1", "streams/web", "chains/web/3", "maintenance/zone/a"
std::string NodeKey(const NodeId& node);
std::string StreamKey(const StreamId& stream);
std::string ChainKey(const PartitionId& partition);
std::string MaintenanceKey(const MaintenanceRecord& record);
std::string SetAsideKey(const PartitionId& partition);
inline constexpr char kNodePrefix[] = "nodes/";
inline constexpr char kStreamPrefix[] = "streams/";
inline constexpr char kChainPrefix[] = "chains/";
inline constexpr char kMaintenancePrefix[] = "maintenance/";
inline constexpr char kSetAsidePrefix[] = "set-aside/";
absl::StatusOr<PartitionId> PartitionOfChainKey(const std::string& key);

std::string Encode(const NodeRecord& record);
std::string Encode(const StreamOptions& record);
std::string Encode(const Chain& record);
std::string Encode(const MaintenanceRecord& record);
std::string Encode(const SetAsideRecord& record);
// DATA_LOSS, naming what is wrong. DecodeChain also checks that the segments join up.
absl::StatusOr<NodeRecord> DecodeNode(const std::string& value);
absl::StatusOr<StreamOptions> DecodeStream(const std::string& value);
absl::StatusOr<Chain> DecodeChain(const std::string& value);
absl::StatusOr<MaintenanceRecord> DecodeMaintenance(const std::string& value);
absl::StatusOr<SetAsideRecord> DecodeSetAside(const std::string& value);

}  // namespace forebay
