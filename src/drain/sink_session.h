// SinkSession: the calls of one partition to one sink, and the epoch they are made at.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "drain/answer_gate.h"
#include "drain/batch.h"
#include "drain/drain_context.h"
#include "forebay/sink.h"

namespace forebay {

// A Deliver or a Skip. It is with a worker while it is under way, and with the loop before and
// after.
struct SinkCall {
  SinkBatch head;                     // events and digest are filled in on the worker
  std::shared_ptr<DrainBatch> batch;  // nothing: a Skip of what cannot be decoded
  size_t count = 0;  // from head.first on; fewer afterwards if the batch turns out to end sooner
  bool skip = false;
  bool decoded = false;  // the sink was asked
  absl::Status result;

  void Run(Sink& sink);
};

// Sinks block and come from outside, so their calls run on workers, and what they throw becomes a
// status. One call at a time, also across Forget: the next one waits for the one that was
// forgotten.
//
// Confined to the loop.
class SinkSession {
 public:
  using Opened = absl::AnyInvocable<void(const absl::StatusOr<SinkProgress>&)>;
  using Called = absl::AnyInvocable<void(const SinkCall&)>;

  SinkSession(DrainContext& context, size_t sink_index);

  // The last Open went well at this epoch, and nothing has failed since.
  bool IsOpenAt(Epoch epoch) const { return opened_ == epoch; }
  // A higher epoch has opened the sink: nothing can be delivered at this one.
  bool IsFencedAt(Epoch epoch) const { return fenced_ && epoch <= *fenced_; }

  void Open(const PartitionId& partition, Epoch epoch, Opened done);
  // No call may be under way.
  void Make(std::shared_ptr<SinkCall> call, Called done);
  // Something failed, perhaps after its effect: only a new Open tells.
  void Doubt() { opened_.reset(); }
  // The partition was lost: what was asked gets no answer, and what was learned is forgotten.
  void Forget();

 private:
  void Run(Task work, Task then);

  DrainContext& context_;
  const size_t sink_index_;
  bool busy_ = false;  // a call is under way, perhaps a forgotten one
  Task waiting_;       // an Open, until that one has returned
  std::optional<Epoch> opened_;
  std::optional<Epoch> fenced_;
  AnswerGate returns_;  // never closed
  AnswerGate answers_;
};

}  // namespace forebay
