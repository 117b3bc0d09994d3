// What must hold in every state: I1 to I5 of docs/design/model.md#invariants.
#include "model/rules.h"

namespace forebay::model {

const char* Rules::Broken(const State& s) const {
  if (s.doubled) return "I1: one block acknowledged at two offsets";
  if (const char* broken = BrokenContent(s)) return broken;
  if (const char* broken = BrokenAcknowledgement(s)) return broken;
  if (CommittedTwice(s)) return "I5: one block is committed twice";
  if (const char* broken = BrokenSink(s)) return broken;
  // Replicas that do not keep epochs apart have nothing to compare a segment with.
  if (!o_.by_epoch) return nullptr;
  for (int r = 0; r < kNodes; r++)
    for (int e = 0; e < s.segments; e++)
      if (const char* broken = BrokenReplica(s, r, e)) return broken;
  return nullptr;
}

const char* Rules::BrokenContent(const State& s) const {
  const int sealed = s.base[s.segments - 1];
  for (int o = 0; o < sealed; o++) {
    if (s.content[o] == 0) return "I1: an offset below the sealed end holds nothing";
    for (int p = 0; p < o; p++)
      if (s.content[p] == s.content[o]) return "I5: one block is in the chain twice";
  }
  return nullptr;
}

const char* Rules::BrokenAcknowledgement(const State& s) const {
  const int sealed = s.base[s.segments - 1];
  for (int b = 1; b <= o_.blocks; b++) {
    if (!s.acked[b - 1]) continue;
    const int at = s.acked[b - 1] - 1;
    if (at < sealed && s.content[at] != b)
      return "I1: an acknowledged block is not in the chain at its offset";
    const int e = SegmentOf(s, at);
    int copies = 0;
    for (int r = 0; r < kNodes; r++)
      if (Has(s.replicas[e], r) && !Has(s.dead, r) && At(s, r, e, at) == b) copies++;
    if (AckNeed(s, e) == 2 && copies + s.lost < 2)
      return "I1: an acknowledged block has fewer copies in its replica list than promised";
    if (AckNeed(s, e) == 1 && copies < 1 && s.lost == 0)
      return "I1: a block acknowledged with one copy has none";
  }
  return nullptr;
}

// The current owner has committed what the chain holds already.
bool Rules::CommittedTwice(const State& s) const {
  const int last = s.segments - 1, sealed = s.base[last];
  for (const Node& node : s.node) {
    if (node.mode != kOwner || node.epoch != last) continue;
    for (int b = 1; b <= o_.blocks; b++) {
      const int end = node.table[b - 1];
      if (end <= sealed || end > node.committed) continue;
      for (int p = 0; p < sealed; p++)
        if (s.content[p] == b) return true;
    }
  }
  return false;
}

const char* Rules::BrokenSink(const State& s) const {
  const int last = s.segments - 1, sealed = s.base[last];
  for (int o = 0; o < s.sink_next && o < kOffsets + 2; o++) {
    if (o < sealed && s.sink[o] != s.content[o])
      return "I2: the sink received something else than the chain's content";
    if (o >= sealed && (o >= kOffsets || !Has(s.sent[last][o], s.sink[o])))
      return "I2: the sink received what the chain does not hold";
    for (int p = 0; p < o; p++)
      if (s.sink[p] == s.sink[o]) return "I2: the sink received one block twice";
  }
  return nullptr;
}

const char* Rules::BrokenReplica(const State& s, int replica, int epoch) const {
  const bool open = epoch == s.segments - 1;
  const int end = open ? kOffsets : s.end[epoch];
  bool hole = false;
  for (int o = s.base[epoch]; o < kOffsets; o++) {
    const int b = At(s, replica, epoch, o);
    if (b && !open && o < end && b != s.content[o])
      return "I3: a replica disagrees with the chain below a sealed end";
    if (b && hole) return "I4: a replica's segment has a hole";
    if (!b) hole = true;
  }
  return nullptr;
}

bool Rules::Done(const State& s) const {
  for (int b = 0; b < o_.blocks; b++)
    if (!s.acked[b] || (o_.drain && s.acked[b] > s.sink_next)) return false;
  return true;
}

}  // namespace forebay::model
