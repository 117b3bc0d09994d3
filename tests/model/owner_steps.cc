// What an owner does: append, commit, roll, settle, deliver.
#include <algorithm>

#include "model/rules.h"

namespace forebay::model {

void Rules::OwnerSteps(const State& s, int node, Emit emit) const {
  const Node& me = s.node[node];
  const bool ahead = !o_.cas_first && me.mode == kSwapping;  // writes before its swap is decided
  if (me.mode != kOwner && me.mode != kRolling && !ahead) {
    if (!o_.no_resume && me.mode == kIdle && s.owner[s.segments - 1] == node) Resume(s, node, emit);
    return;
  }
  const int epoch = ahead ? me.epoch + 1 : me.epoch;
  const int last = s.segments - 1;
  // An owner that comes back late takes no new blocks here. Taking them before it froze, with the
  // messages delayed, reaches the same states.
  if (me.mode != kRolling)
    for (int b = 1; b <= o_.blocks; b++)
      if (me.table[b - 1] || epoch >= last) Request(s, node, epoch, b, emit);
  if (ahead) return;
  Commit(s, node, emit);
  Roll(s, node, emit);
  Deliver(s, node, emit);
  if (me.mode == kOwner) SettleAndStop(s, node, emit);
}

void Rules::Resume(const State& s, int node, Emit emit) const {
  const int epoch = s.segments - 1;
  State t = s;
  if (!BecomeOwner(t, node, epoch)) return;
  for (int o = s.base[epoch]; o < kOffsets; o++)
    if (const int block = At(s, node, epoch, o))
      t.node[node].table[block - 1] = static_cast<uint8_t>(o + 1);
  emit(t, Step{"restarted owner resumes its segment", node, epoch});
}

void Rules::Request(const State& s, int node, int epoch, int block, Emit emit) const {
  const Node& me = s.node[node];
  if (me.table[block - 1]) return Repeat(s, node, block, emit);
  // Producer 1 sends block 1 and then block 3; producer 2 sends block 2.
  if (o_.producers == 1 && block > 1 && !me.table[block - 2]) return;
  if (o_.producers == 2 && block == 3 && !me.table[0]) return;
  const int offset = NextOffset(s, node);
  if (offset >= kOffsets) return;
  State t = s;
  t.sent[epoch][offset] |= static_cast<uint8_t>(1 << block);
  t.node[node].table[block - 1] = static_cast<uint8_t>(offset + 1);
  emit(t, Step{"owner gives block an offset and mirrors it", node, block, offset});
}

void Rules::Repeat(const State& s, int node, int block, Emit emit) const {
  const Node& me = s.node[node];
  const int end = me.table[block - 1];
  const int segment = std::min<int>(SegmentOf(s, end - 1), me.epoch);
  if (s.acked[block - 1] == end) return;
  if (o_.repeat_waits && (end > me.committed || (s.under[segment] && segment < me.epoch))) return;
  State t = s;
  Acknowledge(t, block, end - 1);
  emit(t, Step{"owner acknowledges a repeat of block", node, block, end - 1});
}

void Rules::Commit(const State& s, int node, Emit emit) const {
  const Node& me = s.node[node];
  if (me.mode != kOwner && o_.roll_freezes) return;
  const int offset = me.committed, epoch = me.epoch;
  const int block = offset < kOffsets ? BlockAt(s, node, offset) : 0;
  int holders = 0;
  for (int r = 0; r < kNodes; r++)
    if (s.replied[r][epoch] > offset ||
        (!o_.ack_epoch && epoch && s.replied[r][epoch - 1] > offset))
      holders |= 1 << r;
  if (!block || !IsAckQuorum(s, epoch, holders)) return;
  State t = s;
  t.node[node].committed++;
  Acknowledge(t, block, offset);
  emit(t, Step{"owner commits and acknowledges block", node, block, offset});
}

void Rules::Roll(const State& s, int node, Emit emit) const {
  const Node& me = s.node[node];
  if (o_.roll && me.mode == kOwner && me.epoch == s.segments - 1 && s.segments < o_.epochs &&
      !s.swap[node].sent)
    ReplicaSets(s, node, [&](int set) {
      State t = s;
      t.node[node].mode = kRolling;
      t.node[node].version = s.version;
      Propose(t, node,
              Swap{2, s.version, me.epoch, me.committed, 0, static_cast<uint8_t>(set), 0, 0},
              o_.split || !o_.roll_freezes || !o_.roll_settles);
      emit(t, Step{"owner rolls (swap sent)", node, set, me.committed});
    });
  if (me.mode == kRolling && !o_.roll_settles) {
    State t = s;
    t.node[node].mode = kOwner;
    emit(t, Step{"owner gives up waiting for its swap and goes on", node});
  }
}

// A fenced owner settles what was in flight, and stops.
void Rules::SettleAndStop(const State& s, int node, Emit emit) const {
  const Node& me = s.node[node];
  const int epoch = me.epoch, last = s.segments - 1;
  State stopped = s;
  stopped.node[node] = NewNode();
  if (epoch < last) {
    const int offset = me.committed;
    const int block = offset < kOffsets ? BlockAt(s, node, offset) : 0;
    const int end = o_.settle_own_segment ? s.end[epoch] : s.base[last];
    if (block && offset < end && !(o_.under_holds_settle && s.under[epoch])) {
      State t = s;
      t.node[node].committed++;
      Acknowledge(t, block, offset);
      emit(t,
           Step{"old owner finds block below the sealed end: acknowledged", node, block, offset});
    }
    // For a node that never takes over, stopping is the same as staying frozen.
    if (MayTakeOver(node)) emit(stopped, Step{"old owner stops", node});
    return;
  }
  const bool fenced = std::any_of(s.fence, s.fence + kNodes, [&](int f) { return f > epoch; });
  if (MayTakeOver(node) && fenced) emit(stopped, Step{"owner hears of a fence and stops", node});
}

bool Rules::MayDeliver(const State& s, int node, int offset) const {
  const Node& me = s.node[node];
  if (offset >= (o_.deliver_committed ? me.committed : NextOffset(s, node))) return false;
  const int segment = std::min<int>(SegmentOf(s, offset), me.epoch);
  return !(o_.under_holds_delivery && s.under[segment] && segment < me.epoch);
}

// Without sink-offset the drain trusts the progress that it read when it opened the sink. True: it
// has opened it now, and does nothing else in this step.
bool Rules::OpenSink(const State& s, int node, Emit emit) const {
  const Node& me = s.node[node];
  if (me.position && s.sink_epoch >= me.epoch) return false;
  State t = s;
  if (!me.position && !o_.fence_then_read) {
    t.node[node].position = static_cast<uint8_t>(s.sink_next + 1);
    emit(t, Step{"drain reads the sink's progress", node, s.sink_next});
    return true;
  }
  if (o_.fence_then_read) t.node[node].position = static_cast<uint8_t>(s.sink_next + 1);
  t.sink_epoch = std::max(s.sink_epoch, me.epoch);
  if (t.sink_epoch != s.sink_epoch || t.node[node].position != me.position)
    emit(t, Step{"drain opens the sink", node, me.epoch, s.sink_next});
  return o_.sink_epoch || !me.position;
}

void Rules::Deliver(const State& s, int node, Emit emit) const {
  const Node& me = s.node[node];
  if (!o_.drain || (o_.sink_epoch && s.sink_epoch > me.epoch)) return;
  if (!o_.sink_offset && OpenSink(s, node, emit)) return;
  const int offset = o_.sink_offset ? s.sink_next : me.position - 1;
  if (offset >= kOffsets || s.sink_next >= kOffsets + 2 || !MayDeliver(s, node, offset)) return;
  const int segment = std::min<int>(SegmentOf(s, offset), me.epoch);
  int block = Readable(s, node, segment, offset) ? At(s, node, segment, offset) : 0;
  for (int r = 0; r < kNodes && !block; r++)
    if (Readable(s, r, segment, offset)) block = At(s, r, segment, offset);
  if (!block) return;
  State t = s;
  t.sink_epoch = std::max(s.sink_epoch, me.epoch);
  t.sink[s.sink_next] = static_cast<uint8_t>(block);
  t.sink_next++;
  if (!o_.sink_offset) t.node[node].position++;
  emit(t, Step{"drain delivers block", node, block, offset});
}

}  // namespace forebay::model
