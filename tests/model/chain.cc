// What the steps ask of a state, and how the chain changes.
#include <algorithm>
#include <cstring>

#include "model/rules.h"

namespace forebay::model {

Node NewNode() {
  Node node;
  std::memset(&node, 0, sizeof node);
  node.end = kOpen;
  return node;
}

State Rules::Start() const {
  State s;
  std::memset(&s, 0, sizeof s);
  s.segments = 1;
  std::memset(s.end, kOpen, sizeof s.end);
  s.replicas[0] = s.opened_with[0] = kAllNodes;
  for (Node& node : s.node) node = NewNode();
  BecomeOwner(s, 0, 0);
  return s;
}

void Rules::Next(const State& s, Emit emit) const {
  for (int n = 0; n < kNodes; n++) {
    if (Has(s.dead, n)) continue;
    OwnerSteps(s, n, emit);
    TakeoverSteps(s, n, emit);
    ReplicaSteps(s, n, emit);
    FaultSteps(s, n, emit);
  }
  SwapSteps(s, emit);
  RepairSteps(s, emit);
}

int Rules::At(const State& s, int replica, int epoch, int offset) const {
  return s.log[replica][Slot(epoch)] >> (2 * offset) & 3;
}

void Rules::Put(State& s, int replica, int epoch, int offset, int block) const {
  uint8_t& log = s.log[replica][Slot(epoch)];
  log = static_cast<uint8_t>((log & ~(3 << (2 * offset))) | block << (2 * offset));
}

int Rules::Base(const State& s, int epoch) const {
  if (!o_.by_epoch) return 0;
  if (epoch < s.segments) return s.base[epoch];
  for (int o = 0; o < kOffsets; o++)  // only without cas-first is anything sent before the swap
    if (s.sent[epoch][o]) return o;
  return 0;
}

int Rules::Tail(const State& s, int replica, int epoch) const {
  int tail = Base(s, epoch);
  if (o_.contiguous) {
    while (tail < kOffsets && At(s, replica, epoch, tail)) tail++;
    return tail;
  }
  for (int o = tail; o < kOffsets; o++)
    if (At(s, replica, epoch, o)) tail = o + 1;
  return tail;
}

int Rules::AckNeed(const State& s, int epoch) const {
  return o_.degraded && Count(s.opened_with[epoch]) < 2 ? 1 : 2;
}

bool Rules::IsAckQuorum(const State& s, int epoch, int set) const {
  return Count(s.opened_with[epoch] & set) >= AckNeed(s, epoch);
}

bool Rules::IsSealQuorum(const State& s, int epoch, int set) const {
  if (o_.seal == Options::Seal::kAckQuorum) return IsAckQuorum(s, epoch, set);
  if (o_.seal == Options::Seal::kAnyAnswer) return set != 0;
  if (!o_.segment_rule) return Count(s.replicas[epoch] & ~set) < 2;
  return !IsAckQuorum(s, epoch, s.replicas[epoch] & ~set);
}

int Rules::SegmentOf(const State& s, int offset) const {
  for (int e = 0; e < s.segments; e++)
    if (offset >= s.base[e] && (s.end[e] == kOpen || offset < s.end[e])) return e;
  return s.segments - 1;
}

bool Rules::Readable(const State& s, int replica, int epoch, int offset) const {
  return !Has(s.dead, replica) && At(s, replica, epoch, offset);
}

// The block that a living replica has there; the last one's, as tests of equality come elsewhere.
int Rules::ReadAnywhere(const State& s, int epoch, int offset) const {
  int block = 0;
  for (int r = 0; r < kNodes; r++)
    if (Readable(s, r, epoch, offset)) block = At(s, r, epoch, offset);
  return block;
}

int Rules::HighestSent(const State& s, int epoch) const {
  int highest = 0;
  for (int o = 0; o < kOffsets; o++)
    if (s.sent[epoch][o]) highest = o + 1;
  return highest;
}

// The offset that this owner gives to its next block.
int Rules::NextOffset(const State& s, int node) const {
  const Node& me = s.node[node];
  int next = me.epoch < s.segments ? s.base[me.epoch] : me.end;
  for (int b = 0; b < o_.blocks; b++) next = std::max<int>(next, me.table[b]);
  return next;
}

int Rules::BlockAt(const State& s, int node, int offset) const {
  for (int b = 1; b <= o_.blocks; b++)
    if (s.node[node].table[b - 1] == offset + 1) return b;
  return 0;
}

// The replica lists with which `node` may open a segment.
void Rules::ReplicaSets(const State& s, int node, absl::FunctionRef<void(int)> use) const {
  const int live = kAllNodes & ~s.dead;
  use(live);
  if (o_.two_replicas && Count(live) == 3)
    for (int r = 0; r < kNodes; r++)
      if (r != node) use(live & ~(1 << r));
  if (o_.degraded) use(1 << node);
}

void Rules::Acknowledge(State& s, int block, int offset) const {
  if (s.acked[block - 1] && s.acked[block - 1] != offset + 1) s.doubled = 1;
  s.acked[block - 1] = static_cast<uint8_t>(offset + 1);
}

// Loads the table from the chain, then accepts. False when a block of the chain cannot be read now.
bool Rules::BecomeOwner(State& s, int node, int epoch) const {
  Node owner = NewNode();
  owner.mode = kOwner;
  owner.epoch = static_cast<uint8_t>(epoch);
  owner.committed = s.base[epoch];
  for (int o = 0; o < s.base[epoch]; o++) {
    const int block = ReadAnywhere(s, SegmentOf(s, o), o);
    if (!block) return false;
    if (o_.dedup_rebuild) owner.table[block - 1] = static_cast<uint8_t>(o + 1);
  }
  for (int e = 0; e < epoch && !o_.dedup_cut; e++)  // also what lies beyond a sealed end
    for (int o = s.base[e]; o < kOffsets; o++)
      if (const int block = At(s, node, e, o); block && !owner.table[block - 1])
        owner.table[block - 1] = static_cast<uint8_t>(o + 1);
  s.node[node] = owner;
  return true;
}

void Rules::Propose(State& s, int node, const Swap& swap, bool apart) const {
  s.swap[node] = swap;
  if (!apart) Apply(s, node, swap);
}

void Rules::Apply(State& s, int node, const Swap& swap) const {
  const int sealed = swap.epoch, opened = sealed + 1;
  s.end[sealed] = swap.end;
  s.under[sealed] = swap.under;
  if (swap.sealed_list && !swap.under) {
    s.replicas[sealed] = swap.sealed_list;
    for (int r = 0; r < kNodes; r++)
      if (Has(swap.sealed_list & ~swap.stale_incarnation, r))
        s.limbo[r] &= static_cast<uint8_t>(~(1 << sealed));
  }
  FixContent(s, sealed, swap.end);
  s.owner[opened] = static_cast<uint8_t>(node);
  s.base[opened] = swap.end;
  s.replicas[opened] = s.opened_with[opened] = swap.replicas;
  s.segments = static_cast<uint8_t>(opened + 1);
  s.version++;
  for (int r = 0; r < kNodes; r++)
    if (Has(swap.stale_incarnation, r)) s.limbo[r] |= static_cast<uint8_t>(1 << opened);
  s.swap[node] = Swap{};
  AfterSwap(s);
}

// From now on the chain holds these blocks at these offsets, for ever.
void Rules::FixContent(State& s, int epoch, int end) const {
  for (int o = s.base[epoch]; o < end; o++) {
    int block = 0, highest = -1;
    for (int r = 0; r < kNodes; r++) {
      const int tail = Tail(s, r, epoch);
      if (At(s, r, epoch, o) && tail > highest) {
        block = At(s, r, epoch, o);
        highest = tail;
      }
    }
    if (!block && s.sent[epoch][o]) block = std::countr_zero(s.sent[epoch][o]);
    s.content[o] = static_cast<uint8_t>(block);
  }
}

// The chain has changed: other swaps on it fail, and takeovers that can only lose end.
void Rules::AfterSwap(State& s) const {
  for (int n = 0; n < kNodes; n++) {
    if (s.swap[n].sent && s.swap[n].version != s.version) s.swap[n] = Swap{};
    const Node& me = s.node[n];
    if (me.mode == kTakingOver && me.version != s.version &&
        (me.end == kOpen || !(CanCopy(s, n, 0) || CanCopy(s, n, 1) || CanCopy(s, n, 2))))
      s.node[n] = NewNode();
    if (me.mode == kSwapping && !s.swap[n].sent) EndTakeover(s, n);
    if (me.mode == kRolling && !s.swap[n].sent) EndRoll(s, n);
  }
}

void Rules::EndTakeover(State& s, int node) const {
  Node& me = s.node[node];
  const bool won = s.segments > me.epoch + 1 && s.owner[me.epoch + 1] == node;
  if (!won) {
    me = NewNode();
  } else if (!o_.cas_first) {  // it has been acting as owner already
    me.mode = kOwner;
    me.epoch++;
    me.end = kOpen;
  } else {
    BecomeOwner(s, node, me.epoch + 1);
  }
}

void Rules::EndRoll(State& s, int node) const {
  Node& me = s.node[node];
  const bool won =
      s.segments > me.epoch + 1 && s.owner[me.epoch + 1] == node && me.version + 1 >= s.version;
  me.mode = kOwner;
  me.version = 0;
  if (!won) return;
  // Blocks in flight move to the new segment, in the same order and so at the same offsets.
  me.epoch++;
  me.committed = std::max(me.committed, s.base[me.epoch]);
  for (int b = 1; b <= o_.blocks; b++)
    if (me.table[b - 1] > s.base[me.epoch])
      s.sent[me.epoch][me.table[b - 1] - 1] |= static_cast<uint8_t>(1 << b);
}

}  // namespace forebay::model
