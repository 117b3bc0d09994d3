// What replicas, the metadata store, repair and faults do.
#include <algorithm>
#include <cstring>

#include "model/rules.h"

namespace forebay::model {

void Rules::ReplicaSteps(const State& s, int replica, Emit emit) const {
  if (s.node[replica].mode == kSwapping && o_.cas_first && !s.swap[replica].sent) {
    State t = s;  // its swap won earlier, but a block could not be read then
    const int epoch = s.node[replica].epoch + 1;
    if (BecomeOwner(t, replica, epoch))
      emit(t, Step{"new owner could read everything at last", replica, epoch});
  }
  SyncQueued(s, replica, emit);
  for (int e = 0; e < kEpochs; e++) {
    const bool fenced = o_.fence_check && s.fence[replica] > e;
    if (fenced && o_.fenced_silent) continue;
    if (Has(s.limbo[replica], e) && o_.limbo_refuses) continue;
    if (!fenced) Store(s, replica, e, emit);
    const int tail = std::min(Tail(s, replica, e), HighestSent(s, e));
    if (tail > s.replied[replica][e]) {
      State t = s;
      t.replied[replica][e] = static_cast<uint8_t>(tail);
      emit(t, Step{"replica acknowledges again what it has", replica, e, tail});
    }
  }
}

// Only without fence-order is a write accepted before it is durable.
void Rules::SyncQueued(const State& s, int replica, Emit emit) const {
  if (!s.queued[replica]) return;
  const int epoch = s.queued[replica] >> 4, offset = s.queued[replica] >> 2 & 3;
  State t = s;
  t.queued[replica] = 0;
  if (Tail(s, replica, epoch) == offset) {
    Put(t, replica, epoch, offset, s.queued[replica] & 3);
    t.replied[replica][epoch] =
        std::max(s.replied[replica][epoch], static_cast<uint8_t>(offset + 1));
  }
  emit(t, Step{"replica's queued write becomes durable, and it reports the tail", replica, epoch,
               offset + 1});
}

void Rules::Store(const State& s, int replica, int epoch, Emit emit) const {
  const int tail = Tail(s, replica, epoch);
  for (int o = 0; o < kOffsets; o++) {
    if (!(o_.contiguous ? o == tail : At(s, replica, epoch, o) == 0)) continue;
    for (int b = 1; b <= o_.blocks; b++) {
      if (!Has(s.sent[epoch][o], b)) continue;
      State t = s;
      if (!o_.fence_order) {
        if (s.queued[replica]) continue;
        t.queued[replica] = static_cast<uint8_t>(epoch << 4 | o << 2 | b);
        emit(t, Step{"replica accepts an offset into its write queue", replica, epoch, o});
        continue;
      }
      Put(t, replica, epoch, o, b);
      t.replied[replica][epoch] =
          std::max(s.replied[replica][epoch], static_cast<uint8_t>(Tail(t, replica, epoch)));
      emit(t, Step{"replica stores an offset and reports its tail", replica, epoch, o});
    }
  }
}

void Rules::SwapSteps(const State& s, Emit emit) const {
  for (int n = 0; n < kNodes; n++) {
    if (!s.swap[n].sent) continue;
    State t = s;
    Apply(t, n, s.swap[n]);
    emit(t, Step{"metadata store applies the swap of", n});
    t = s;
    t.swap[n] = Swap{};
    if (s.node[n].mode == kRolling) {
      t.node[n].mode = kOwner;
      t.node[n].version = 0;
    }
    if (s.node[n].mode == kSwapping) t.node[n] = NewNode();
    emit(t, Step{"the swap is lost, and its sender knows", n});
  }
}

void Rules::RepairSteps(const State& s, Emit emit) const {
  for (int e = 0; e + 1 < s.segments; e++) RepairSegment(s, e, emit);
}

void Rules::RepairSegment(const State& s, int epoch, Emit emit) const {
  int full = 0, limbo = 0;
  for (int r = 0; r < kNodes; r++) {
    if (Has(s.limbo[r], epoch)) limbo |= 1 << r;
    if (Has(s.dead, r)) continue;
    const int tail = Tail(s, r, epoch);
    if (tail >= s.end[epoch]) {
      full |= 1 << r;
    } else if (s.under[epoch] || Has(s.limbo[r], epoch) || (s.replicas[epoch] & s.dead)) {
      for (int from = 0; from < kNodes; from++)
        if (Readable(s, from, epoch, tail)) {
          State t = s;
          Put(t, r, epoch, tail, At(s, from, epoch, tail));
          emit(t, Step{"repair copies a sealed offset to", r, epoch, tail});
          break;
        }
    }
  }
  limbo &= full;
  if (Count(full) < 2 || !(s.under[epoch] || limbo)) return;
  State t = s;
  t.under[epoch] = 0;
  t.replicas[epoch] = static_cast<uint8_t>(full);
  for (int r = 0; r < kNodes; r++) {
    if (!Has(limbo, r)) continue;
    t.limbo[r] &= static_cast<uint8_t>(~(1 << epoch));
    if (o_.repair_fences) t.fence[r] = std::max(t.fence[r], static_cast<uint8_t>(epoch + 1));
  }
  t.version++;
  AfterSwap(t);
  emit(t, Step{"repair swaps the replica list of a sealed segment", epoch, full});
}

void Rules::Crash(const State& s, int node, Emit emit) const {
  // Where a restart changes nothing, the state is reached without it.
  const bool forgets = s.node[node].mode >= kSwapping && (MayTakeOver(node) || !o_.no_resume);
  if (s.crashes >= o_.crashes ||
      !(forgets || s.queued[node] || (!o_.fence_durable && s.fence[node])))
    return;
  State t = s;
  t.node[node] = NewNode();
  t.queued[node] = 0;
  if (!o_.fence_durable) t.fence[node] = 0;
  t.crashes++;
  emit(t, Step{"CRASH and restart of", node, -1, -1, true});
}

void Rules::FaultSteps(const State& s, int node, Emit emit) const {
  Crash(s, node, emit);
  if (s.lost >= o_.losses) return;
  State t = s;
  t.node[node] = NewNode();
  t.queued[node] = 0;
  t.lost++;
  if (o_.kill) {
    State gone = t;
    gone.dead |= static_cast<uint8_t>(1 << node);
    emit(gone, Step{"ZONE LOST FOR GOOD:", node, -1, -1, true});
  }
  if (!o_.wipe) return;
  std::memset(t.log[node], 0, sizeof t.log[node]);
  t.fence[node] = 0;
  t.limbo[node] = static_cast<uint8_t>((1 << s.segments) - 1);
  for (Swap& swap : t.swap)
    if (swap.sent) swap.stale_incarnation |= static_cast<uint8_t>(1 << node);
  emit(t, Step{"DISK WIPED, restart of", node, -1, -1, true});
}

}  // namespace forebay::model
