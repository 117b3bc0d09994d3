// One sink's progress through one partition: the state machine behind Drain.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "drain/batch.h"
#include "drain/drain.h"
#include "drain/marks.h"
#include "drain/worker_pool.h"

namespace forebay {

// What all tasks of a Drain share.
struct DrainContext {
  Clock& clock;
  Executor& loop;
  WorkerPool workers;
  Random random;
  DrainPorts ports;
  DrainOptions options;
  std::vector<SinkBinding> sinks;
};

// Confined to the loop. Owned by shared_ptr because reads, sink calls and timers under way hold it
// weakly. It makes one sink call at a time, also across Lose and a new epoch.
class DrainTask : public std::enable_shared_from_this<DrainTask> {
 public:
  // `released` is called when released() may have grown.
  DrainTask(DrainContext& context, PartitionId partition, size_t sink_index,
            absl::AnyInvocable<void()> released);

  void Commit(Epoch epoch, Offset committed);
  void Lose();

  bool active() const { return active_; }
  // Delivered, and kept long enough; nothing before the sink has told its progress.
  std::optional<Offset> released() const { return released_; }
  DrainStatus Status() const;

 private:
  struct Call;

  const SinkBinding& binding() const { return context_.sinks[sink_index_]; }
  std::string Name() const;

  void Step();
  BatchLimits Limits() const { return {binding().batch_bytes_max, binding().batch_events_max}; }
  // What is undelivered fills a batch, or nothing is waited for any longer.
  bool Due() const;
  // batch_wait_max after the batch before, and after the oldest undelivered event at the latest.
  absl::Time DueAt() const;
  bool FullBatchBeyond(Offset offset) const;
  void StepWhenDue();

  void StartOpen();
  void OnOpened(Epoch epoch, const absl::StatusOr<SinkProgress>& progress);
  void ResumeAt(Offset next);
  void StepDown(Epoch epoch, const absl::Status& why);
  // Forgets what was read and what was learned about it; the next block to read holds `next`.
  void DropBlocks(Offset next);

  using ReadThen = absl::AnyInvocable<void(DrainTask&, absl::StatusOr<std::vector<StoredBlock>>)>;
  // Drops the answer when DropBlocks was called meanwhile.
  void Read(Offset from, size_t bytes_max, ReadThen then);
  // The lowest offset in [low, high] that can be read, or high.
  void FindStart(uint64_t low, uint64_t high);
  void ReadMore();
  // While a batch is with the sink: the next one, if it will be a full one.
  void ReadAhead();
  void OnRead(absl::StatusOr<std::vector<StoredBlock>> blocks);

  void StartDeliver();
  void OnDelivered(const Call& call);
  void OnPoison(const Call& call);
  void Advance(Offset cursor);
  void StartDeadLetter();
  void SendDeadLetter(std::shared_ptr<std::vector<Event>> parts, size_t next);

  void Retry(const absl::Status& why, DrainState state);
  void SetState(DrainState state);
  void Released();

  // Runs `then(this)` on the loop unless the partition was lost meanwhile.
  template <typename Then>
  auto OnLoop(Then then);

  DrainContext& context_;
  const PartitionId partition_;
  const size_t sink_index_;
  absl::AnyInvocable<void()> on_released_;

  // What the owner says.
  bool active_ = false;
  uint64_t life_ = 0;  // rises with Lose: what was started before no longer counts
  Epoch epoch_;
  Offset committed_;

  // What the sink says.
  std::optional<Epoch> opened_;        // the epoch of the last Open that went well; reset by errors
  std::optional<Epoch> stepped_down_;  // fenced at this epoch
  std::optional<Offset> cursor_;
  std::optional<Offset> released_;

  // What is under way.
  bool calling_ = false;    // a sink call
  bool reading_ = false;    // a read
  bool searching_ = false;  // for where to start
  uint64_t read_ = 0;       // rises when the buffer restarts: reads started before do not count
  bool dead_lettering_ = false;
  uint64_t waits_ = 0;      // rises when a wait ends early
  bool waiting_ = false;    // to retry
  bool filling_ = false;    // a timer for a fuller batch
  bool releasing_ = false;  // a timer for released()
  ReadBuffer buffer_;
  std::optional<Offset> fill_to_;  // the batch in the making is read up to here, unless it is full
  std::shared_ptr<DrainBatch> batch_;  // shared with the call under way
  absl::Time sent_at_ = absl::InfinitePast();
  uint64_t event_bytes_ = 1024;  // of an event of the last batch; a guess before it

  // Bisecting: a poison event is in [cursor_, poison_before_).
  std::optional<Offset> poison_before_;
  std::optional<std::string> poison_reason_;  // the event at cursor_ is poison
  bool poison_is_safe_ = false;               // in the dead-letter stream

  DelayedCursor delivered_;
  CommitTimes commit_times_;
  int failures_ = 0;  // in a row
  absl::Time logged_at_ = absl::InfinitePast();
  DrainState state_ = DrainState::kOpening;
  absl::Time since_;
  std::string last_error_;
  uint64_t delivered_events_ = 0;
  uint64_t retries_ = 0;
  uint64_t dead_lettered_events_ = 0;
};

}  // namespace forebay
