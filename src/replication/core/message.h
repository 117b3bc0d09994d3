// What nodes say to each other. Any message may be lost, repeated, delayed or reordered; every one
// names what it is about, so that a late one does no harm. (docs/design/protocol.md)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "block/segment.h"
#include "forebay/ids.h"

namespace forebay {

// Every request about a segment names the incarnation it means; a replica of another incarnation
// is in limbo for that segment and says so.

// Owner to replica: blocks at consecutive offsets (none: open the segment, or only tell).
struct MirrorRequest {
  SegmentKey segment;
  Incarnation incarnation;
  // The producers' snapshot at the segment's base: with the first request of a segment.
  std::optional<std::string> open_snapshot;
  Offset base;   // of the segment
  Offset first;  // of the first block
  std::vector<Block> blocks;
  Offset committed;    // everything below is committed
  Offset trim_floor;   // everything below has reached every sink and may go
  uint64_t round = 0;  // comes back in the reply; 0: nothing is to be confirmed
};

enum class ReplicaAnswer : uint8_t {
  kHolds,    // `tail` is durable here
  kFenced,   // a higher epoch has been here; tail means nothing
  kLimbo,    // not the incarnation that was named; tail means nothing
  kNotOpen,  // has no such segment; send the open snapshot
  kFailed,   // the store has failed
  kFull,     // `tail` is durable here, but of the blocks none was taken: only the reserve is left
};

struct MirrorReply {
  SegmentKey segment;
  ReplicaAnswer answer = ReplicaAnswer::kFailed;
  Offset tail;         // local tail, durable
  Offset next;         // what it would accept next (>= tail: accepted, not durable yet)
  Epoch fence;         // of the partition, with kFenced
  uint64_t round = 0;  // of the request; 0: from a build that does not say
};

// Sealer to replica: refuse everything of epochs below `fence`, then say what you hold of
// `segment`.
struct FenceRequest {
  SegmentKey segment;
  Incarnation incarnation;
  Epoch fence;
};
struct FenceReply {
  SegmentKey segment;
  Epoch fence;                                    // the fence that was asked for
  ReplicaAnswer answer = ReplicaAnswer::kFailed;  // kNotOpen: fenced, and surely holds nothing
  Epoch higher;  // with kFenced: the fence that stands there already
  Offset start;  // with kHolds
  Offset tail;
  // Some of it cannot be read at the moment: it counts for what was acknowledged, not as a copy.
  bool damaged = false;
};

// Anyone to replica: give me what you hold from `from`.
struct FetchRequest {
  uint64_t request = 0;  // chosen by the asker, comes back in the reply
  SegmentKey segment;
  Offset from;
  uint64_t bytes_max = 0;
  bool with_snapshot = false;
};
enum class FetchAnswer : uint8_t { kHave, kSurelyNot, kUnknown };
struct FetchReply {
  uint64_t request = 0;
  SegmentKey segment;
  FetchAnswer answer = FetchAnswer::kUnknown;
  SegmentExtent extent;                 // with kHave
  std::optional<std::string> snapshot;  // true at extent.start, when asked for
  std::vector<StoredBlock> blocks;
};

// Sealer or repairer to any node: hold these blocks of a segment that is sealed, or being sealed at
// `fence`. Makes `fence` the partition's fence first. With no blocks: only fence, and say the tail.
struct CopyRequest {
  SegmentKey segment;
  Incarnation incarnation;
  Epoch fence;
  uint64_t chain_version = 0;  // that the sender read; no deletion decided at or before it is done
  std::optional<std::string> open_snapshot;  // true at `first`, if the segment is not there yet
  Offset first;
  std::vector<Block> blocks;
};
struct CopyReply {
  SegmentKey segment;
  Epoch fence;
  ReplicaAnswer answer = ReplicaAnswer::kFailed;
  SegmentExtent extent;        // its tail is at most the first damaged offset
  Epoch higher;                // with kFenced: the fence that stands there already
  uint64_t chain_version = 0;  // of the request; 0: from a build that does not say
};

// "Are you still the owner of this partition at this epoch, and alive?"
struct Probe {
  PartitionId partition;
  Epoch epoch;
};
struct ProbeReply {
  PartitionId partition;
  Epoch epoch;
  bool owns = false;
};

// "I stop; please take over." Sent by an owner that hands over.
struct HandOver {
  PartitionId partition;
  Epoch epoch;
};

// Sent on a transport of its own, every LivenessOptions::heartbeat_every.
struct Heartbeat {
  ProcessLife life;
  bool hears_you = false;  // heartbeats of the receiver have come here lately
};

using Message =
    std::variant<MirrorRequest, MirrorReply, FenceRequest, FenceReply, FetchRequest, FetchReply,
                 CopyRequest, CopyReply, Probe, ProbeReply, HandOver, Heartbeat>;

}  // namespace forebay
