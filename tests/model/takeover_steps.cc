// What a node does that takes a partition over: docs/design/protocol.md#takeover, steps 1 to 5.
#include <algorithm>

#include "model/rules.h"

namespace forebay::model {

void Rules::TakeoverSteps(const State& s, int node, Emit emit) const {
  const Node& me = s.node[node];
  if (me.mode == kIdle && s.segments < o_.epochs && MayTakeOver(node) && !s.swap[node].sent) {
    State t = s;
    t.node[node] = NewNode();
    t.node[node].mode = kTakingOver;
    t.node[node].epoch = static_cast<uint8_t>(s.segments - 1);
    t.node[node].version = s.version;
    if (!o_.segment_rule) emit(t, Step{"takeover reads the chain", node, s.segments - 1});
    Fence(t, node, emit);  // before its first answer it is like an idle node
  }
  if (me.mode != kTakingOver) return;
  const bool current = me.version == s.version;
  if (me.end == kOpen && current) {
    Fence(s, node, emit);
    DecideEnd(s, node, emit);
  }
  if (me.end != kOpen) {
    for (int r = 0; r < kNodes; r++) Copy(s, node, r, emit);
    if (current && s.segments < o_.epochs) SealSwap(s, node, emit);
  }
  State t = s;
  t.node[node] = NewNode();
  emit(t, Step{"takeover gives up", node});
}

void Rules::Fence(const State& s, int node, Emit emit) const {
  const Node& me = s.node[node];
  const int epoch = me.epoch;
  for (int r = 0; r < kNodes; r++) {
    if (!Has(s.replicas[epoch], r) || Has(s.dead, r) || s.fence[r] > epoch + 1) continue;
    if (me.answer[r] || (Has(s.limbo[r], epoch) && o_.limbo_unknown)) continue;
    State t = s;
    t.fence[r] = static_cast<uint8_t>(epoch + 1);
    t.node[node].answer[r] = static_cast<uint8_t>(Tail(s, r, epoch) + 1);
    emit(t, Step{"replica is fenced by node and answers its tail", r, node, Tail(s, r, epoch)});
  }
}

void Rules::DecideEnd(const State& s, int node, Emit emit) const {
  const Node& me = s.node[node];
  int answered = 0;  // another takeover's fence stands for one whose answer is lost
  for (int r = 0; r < kNodes; r++)
    if (me.answer[r]) answered |= 1 << r;
  if (!IsSealQuorum(s, me.epoch, answered) || (!answered && o_.segment_rule)) return;
  const int end = HighestEnd(s, node, answered);
  State t = s;
  t.node[node].end = static_cast<uint8_t>(end);
  for (uint8_t& answer : t.node[node].answer) answer = answer != 0;  // only who answered counts now
  emit(t, Step{"takeover decides the end from answers of set", node, answered, end});
}

// The highest tail; with tight-end only as far as an ack quorum may hold everything.
int Rules::HighestEnd(const State& s, int node, int answered) const {
  const Node& me = s.node[node];
  int end = s.base[me.epoch];
  for (int r = 0; r < kNodes; r++) end = std::max(end, me.answer[r] - 1);
  while (o_.tight_end && end > s.base[me.epoch]) {
    int may_hold = s.replicas[me.epoch] & ~answered;
    for (int r = 0; r < kNodes; r++)
      if (me.answer[r] > end) may_hold |= 1 << r;
    if (IsAckQuorum(s, me.epoch, may_hold)) break;
    end--;
  }
  return end;
}

bool Rules::CanCopy(const State& s, int node, int replica) const {
  const Node& me = s.node[node];
  const int epoch = me.epoch;
  if (Has(s.dead, replica)) return false;
  if (o_.anywhere && s.fence[replica] <= epoch && me.version == s.version)
    return true;  // of nothing, maybe: it brings the fence
  if (o_.anywhere) return s.fence[replica] <= epoch + 1 && Tail(s, replica, epoch) < me.end;
  if (!me.answer[replica] || s.fence[replica] != epoch + 1) return false;
  return Tail(s, replica, epoch) < me.end && !(Has(s.limbo[replica], epoch) && o_.limbo_refuses);
}

void Rules::Copy(const State& s, int node, int replica, Emit emit) const {
  if (!CanCopy(s, node, replica)) return;
  const int epoch = s.node[node].epoch, offset = Tail(s, replica, epoch);
  State t = s;
  t.fence[replica] = static_cast<uint8_t>(epoch + 1);  // a copy carries the fence
  if (offset >= s.node[node].end) {
    emit(t, Step{"takeover copies nothing, and the fence, to replica", node, replica, offset});
    return;
  }
  for (int from = 0; from < kNodes; from++)
    if (Readable(s, from, epoch, offset)) {
      Put(t, replica, epoch, offset, At(s, from, epoch, offset));
      emit(t, Step{"takeover copies an offset to replica", node, replica, offset});
      return;
    }
}

void Rules::SealSwap(const State& s, int node, Emit emit) const {
  const Node& me = s.node[node];
  const int epoch = me.epoch;
  int holders = 0;
  for (int r = 0; r < kNodes; r++) {
    const bool counts =
        o_.anywhere ? s.fence[r] == epoch + 1 : me.answer[r] && !Has(s.limbo[r], epoch);
    if (counts && Tail(s, r, epoch) >= me.end) holders |= 1 << r;
  }
  const bool enough =
      o_.anywhere ? Count(holders) >= AckNeed(s, epoch) : IsAckQuorum(s, epoch, holders);
  const bool under = !enough && o_.copy_first;
  if (under && o_.never_under) return;
  if (under && o_.readable_end && !(holders & ~s.dead)) return;
  ReplicaSets(s, node, [&](int set) {
    State t = s;
    t.node[node].mode = kSwapping;
    for (uint8_t& answer : t.node[node].answer) answer = 0;
    Propose(t, node,
            Swap{1, s.version, me.epoch, me.end, under, static_cast<uint8_t>(set), 0,
                 static_cast<uint8_t>(o_.anywhere ? holders : 0)},
            o_.split || !o_.cas_first);
    if (o_.cas_first && t.node[node].mode != kSwapping) t.node[node].version = 0;
    emit(t, Step{under ? "takeover swaps, UNDER-REPLICATED" : "takeover swaps", node, me.end, set});
  });
}

}  // namespace forebay::model
