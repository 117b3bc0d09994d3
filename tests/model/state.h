// The whole small system as one value: every byte of it is compared and hashed.
#pragma once

#include <bit>
#include <cstdint>

namespace forebay::model {

constexpr int kNodes = 3;         // one in each zone; each is a replica and may own or take over
constexpr int kEpochs = 4;        // segments of the chain, by index
constexpr int kOffsets = 3;       // one more than the blocks of a run with two blocks
constexpr int kBlocks = 3;        // blocks are 1 to 3; 0 is nothing
constexpr uint8_t kOpen = 15;     // an end that is not decided
constexpr uint8_t kAllNodes = 7;  // a set of nodes has bit n for node n

enum Mode : uint8_t { kIdle, kTakingOver, kSwapping, kOwner, kRolling };

// What a node forgets in a crash.
struct Node {
  Mode mode;
  uint8_t epoch, version;  // that it owns or seals; of the chain that it read
  uint8_t answer[kNodes];  // tails that its fence was answered with, + 1; 0 is no answer
  uint8_t end;             // where its takeover seals
  uint8_t committed;       // as owner
  uint8_t table[kBlocks];  // offset + 1 of each block that this owner knows
  uint8_t position;        // progress of its sink as it read it, + 1; only without sink-offset
};

// A compare-and-swap on its way to the metadata store.
struct Swap {
  uint8_t sent, version, epoch, end, under, replicas;
  uint8_t stale_incarnation;  // nodes that were wiped since it was sent
  uint8_t sealed_list;        // new replica list of the sealed segment; 0 leaves it
};

struct State {
  // The metadata store: one record, the chain. `under` marks a segment sealed with too few copies.
  uint8_t version, segments;
  uint8_t owner[kEpochs], base[kEpochs], end[kEpochs], replicas[kEpochs], under[kEpochs];
  uint8_t opened_with[kEpochs];  // the replicas among which an owner counts acknowledgements
  // Everything any owner ever sent, as a set of blocks for each epoch and offset. A message is
  // never removed, so loss, delay, repetition and another order need no steps of their own.
  uint8_t sent[kEpochs][kOffsets];
  // Durable on each node: blocks by epoch (2 bits an offset), the fence, epochs it is in limbo for.
  uint8_t log[kNodes][kEpochs];
  uint8_t fence[kNodes], limbo[kNodes];
  uint8_t replied[kNodes][kEpochs];  // the highest tail it ever reported to the epoch's owner
  uint8_t queued[kNodes];            // accepted and not synced; only without fence-order
  uint8_t dead, lost, crashes;       // zones that are gone; losses and crashes so far
  Node node[kNodes];
  Swap swap[kNodes];
  // What the world outside saw.
  uint8_t acked[kBlocks];  // offset + 1
  uint8_t doubled;         // a block was acknowledged at two offsets
  uint8_t sink_epoch, sink_next, sink[kOffsets + 2];
  uint8_t content[kOffsets];  // what the chain says for ever, fixed when an offset is sealed
  uint8_t unused[4];          // up to a multiple of eight bytes
};

inline int Count(unsigned set) { return std::popcount(set); }
inline bool Has(unsigned set, int node) { return (set >> node & 1) != 0; }

}  // namespace forebay::model
