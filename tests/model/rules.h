// The protocol as steps from state to state, and what must hold in each state. What the model
// leaves out, and what it has found: docs/design/model.md.
#pragma once

#include "absl/functional/function_ref.h"
#include "model/options.h"
#include "model/state.h"

namespace forebay::model {

// A step, for a person who reads a trace: a sentence and up to three numbers.
struct Step {
  const char* what;
  int a = -1, b = -1, c = -1;
  bool fault = false;
};

class Rules {
 public:
  using Emit = absl::FunctionRef<void(const State&, const Step&)>;

  explicit Rules(const Options& options) : o_(options) {}

  State Start() const;
  // Calls `emit` with every step that can be taken from `s`, and the state after it.
  void Next(const State& s, Emit emit) const;
  // nullptr, or the invariant that `s` breaks.
  const char* Broken(const State& s) const;
  // Everything is acknowledged and delivered.
  bool Done(const State& s) const;

 private:
  // --- invariants.cc
  const char* BrokenContent(const State& s) const;
  const char* BrokenAcknowledgement(const State& s) const;
  const char* BrokenSink(const State& s) const;
  const char* BrokenReplica(const State& s, int replica, int epoch) const;
  bool CommittedTwice(const State& s) const;

  // --- chain.cc: reading a state
  int Slot(int epoch) const { return o_.by_epoch ? epoch : 0; }
  int At(const State& s, int replica, int epoch, int offset) const;
  int Base(const State& s, int epoch) const;
  int Tail(const State& s, int replica, int epoch) const;
  int AckNeed(const State& s, int epoch) const;
  bool IsAckQuorum(const State& s, int epoch, int set) const;
  bool IsSealQuorum(const State& s, int epoch, int set) const;
  int SegmentOf(const State& s, int offset) const;
  bool Readable(const State& s, int replica, int epoch, int offset) const;
  int ReadAnywhere(const State& s, int epoch, int offset) const;
  int HighestSent(const State& s, int epoch) const;
  int NextOffset(const State& s, int node) const;
  int BlockAt(const State& s, int node, int offset) const;
  bool MayTakeOver(int node) const { return node >= kNodes - o_.takers; }
  void ReplicaSets(const State& s, int node, absl::FunctionRef<void(int)> use) const;

  // --- chain.cc: changing it
  void Put(State& s, int replica, int epoch, int offset, int block) const;
  void Acknowledge(State& s, int block, int offset) const;
  bool BecomeOwner(State& s, int node, int epoch) const;
  void Apply(State& s, int node, const Swap& swap) const;
  void FixContent(State& s, int epoch, int end) const;
  void Propose(State& s, int node, const Swap& swap, bool apart) const;
  void AfterSwap(State& s) const;
  void EndTakeover(State& s, int node) const;
  void EndRoll(State& s, int node) const;

  // --- owner_steps.cc
  void OwnerSteps(const State& s, int node, Emit emit) const;
  void Resume(const State& s, int node, Emit emit) const;
  void Request(const State& s, int node, int epoch, int block, Emit emit) const;
  void Repeat(const State& s, int node, int block, Emit emit) const;
  void Commit(const State& s, int node, Emit emit) const;
  void Roll(const State& s, int node, Emit emit) const;
  void SettleAndStop(const State& s, int node, Emit emit) const;
  void Deliver(const State& s, int node, Emit emit) const;
  bool OpenSink(const State& s, int node, Emit emit) const;
  bool MayDeliver(const State& s, int node, int offset) const;

  // --- takeover_steps.cc
  void TakeoverSteps(const State& s, int node, Emit emit) const;
  void Fence(const State& s, int node, Emit emit) const;
  void DecideEnd(const State& s, int node, Emit emit) const;
  int HighestEnd(const State& s, int node, int answered) const;
  bool CanCopy(const State& s, int node, int replica) const;
  void Copy(const State& s, int node, int replica, Emit emit) const;
  void SealSwap(const State& s, int node, Emit emit) const;

  // --- replica_steps.cc
  void ReplicaSteps(const State& s, int replica, Emit emit) const;
  void SyncQueued(const State& s, int replica, Emit emit) const;
  void Store(const State& s, int replica, int epoch, Emit emit) const;
  void SwapSteps(const State& s, Emit emit) const;
  void RepairSteps(const State& s, Emit emit) const;
  void RepairSegment(const State& s, int epoch, Emit emit) const;
  void FaultSteps(const State& s, int node, Emit emit) const;
  void Crash(const State& s, int node, Emit emit) const;

  const Options& o_;
};

// What a node is when its process starts.
Node NewNode();

}  // namespace forebay::model
