// How large the explored system is, and which guards it has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace forebay::model {

struct Options {
  // --- size
  int blocks = 2;     // 1 or 2
  int producers = 2;  // 1: block 2 follows block 1 in one producer's sequence
  int epochs = 3;     // segments in the chain, 2 to 4
  int crashes = 1;    // of a node, which restarts
  int losses = 1;     // 0 or 1: a wiped disk, or a zone gone for good
  int takers = 2;     // nodes that may take over; the first owner is the last to be one
  bool wipe = true, kill = true, roll = true, drain = true;
  bool two_replicas = false;  // segments may open on two replicas
  bool degraded = false;      // and on one, with one copy to acknowledge
  bool split = false;         // swaps are sent and applied in two steps
  bool liveness = false;
  bool trace = true;
  uint32_t states_max = 200'000'000;

  // --- guards of docs/design/model.md#guards; all are on in the protocol as it is
  bool fence_durable = true, fence_order = true, fence_check = true, fenced_silent = true;
  bool contiguous = true, limbo_unknown = true, limbo_refuses = true, repair_fences = true;
  bool cas_first = true, copy_first = true, roll_freezes = true, roll_settles = true;
  bool no_resume = true, by_epoch = true, ack_epoch = true, segment_rule = true;
  bool deliver_committed = true, repeat_waits = true, dedup_rebuild = true, dedup_cut = true;
  bool settle_own_segment = true, under_holds_settle = true, under_holds_delivery = true;
  bool sink_epoch = true, sink_offset = true, fence_then_read = true;
  bool tight_end = true;     // the end is the highest that an ack quorum can hold
  bool anywhere = true;      // copies may go to any live node
  bool never_under = true;   // no swap before an ack quorum holds everything
  bool readable_end = true;  // without never-under: somebody alive holds everything
  enum class Seal { kSealQuorum, kAckQuorum, kAnyAnswer } seal = Seal::kSealQuorum;
};

// Reads the program's arguments; an empty text, or what is wrong with them.
std::string ReadOptions(const std::vector<std::string>& arguments, Options& options);

}  // namespace forebay::model
