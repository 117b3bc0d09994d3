// DrainTask: one sink's way through one partition. It is the state machine behind Drain.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "drain/answer_gate.h"
#include "drain/batch_reader.h"
#include "drain/drain.h"
#include "drain/drain_context.h"
#include "drain/drain_progress.h"
#include "drain/poison_search.h"
#include "drain/retry_pace.h"
#include "drain/sink_session.h"

namespace forebay {

// Each state waits for one thing, which is named beside it. When that has come, Next() says from
// what is known what to do, and Enter() does it:
//
//   lost            a commit at an epoch of this node
//   opening         the sink's Open
//   finding-start   reads that find the trim floor, for a sink without progress
//   idle            a commit
//   filling         a timer, or a commit that makes a full batch
//   reading         blocks
//   delivering      the sink's Deliver, or its Skip of a dead letter
//   dead-letter     the append of a poison event to the dead-letter stream
//   setting-aside   whether an operator set a block aside; then the sink's Skip
//   retrying, missing-blocks, undecodable
//                   a timer, or a higher epoch
//   stepped-down    a higher epoch
//
//                    ┌────────────────────── a failure: wait, and open again ─────────────────────┐
//                    ▼                                                                            │
//   lost ──▶ opening ──▶ finding-start ──▶ idle ◀──▶ filling ──▶ reading ──▶ delivering ──▶
//   retrying
//     ▲          │                           ▲                      │   ▲     │    ▲  │ undecodable
//  from all      └──▶ stepped-down           └──────────────────────┼───┴─────┘    │  ▼
//  missing-blocks
//                                                                   │       dead-letter
//                                          delivering ──▶ setting-aside ──▶ idle, filling, reading
//
// What a call did that failed is not known, so every failure leads back to opening: the sink's
// progress tells. Confined to the loop.
class DrainTask {
 public:
  // `released` is called when released() may have grown.
  DrainTask(DrainContext& context, const PartitionId& partition, size_t sink_index,
            absl::AnyInvocable<void()> released);

  void Commit(Epoch epoch, Offset committed);
  void Lose();

  bool active() const { return state_ != DrainState::kLost; }
  // Delivered, and kept long enough; nothing before the sink has told its progress.
  std::optional<Offset> released() const { return progress_.released(); }
  DrainStatus Status() const;

 private:
  std::string Name() const;

  // What to do now, from what is known. It asks for nothing that is under way.
  DrainState Next() const;
  // The one place where the state changes. Starts what the new state waits for.
  void Enter(DrainState next);
  void Proceed();
  // A commit changes what to do in this state.
  bool Heeds(bool new_epoch) const;

  void StartOpen();
  void OnOpened(const absl::StatusOr<SinkProgress>& progress);
  void ResumeAt(Offset next);
  void StepDown(const absl::Status& why);
  // Forgets what was read and what was learned about it; the next block to read holds `next`.
  void DropBlocks(Offset next);

  void StartFindingStart();
  void WaitToFill();
  void OnRead(const absl::Status& status);

  void StartDelivery();
  void OnDelivered(const SinkCall& call);
  void StartDeadLetter();
  void StartSettingAside();
  void SkipBadBlock();
  void OnSkipped(const SinkCall& call);
  void Call(std::shared_ptr<SinkCall> call, void (DrainTask::*then)(const SinkCall&));
  void Advance(Offset cursor);

  void Fail(const absl::Status& why, DrainState state);

  DrainContext& context_;
  DrainState state_ = DrainState::kLost;
  // As it is told, but for the progress. Its state lags: while calls fail, it says so until one has
  // gone well.
  DrainStatus told_;
  SinkSession session_;
  BatchReader reader_;
  PoisonSearch poison_;
  DrainProgress progress_;
  RetryPace retry_;
  std::shared_ptr<DrainBatch> batch_;  // in delivery; shared with the call under way
  std::optional<BadBlock> bad_block_;  // at the cursor; until it is passed over or read again
  AnswerGate answers_;                 // closed when the partition is lost
  AnswerGate timer_;                   // closed when the state changes
};

}  // namespace forebay
