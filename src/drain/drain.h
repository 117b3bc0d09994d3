// Drain: hands committed events to sinks, in order, exactly once where the sink holds progress.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "forebay/clock.h"
#include "forebay/event.h"
#include "forebay/ids.h"
#include "forebay/options.h"
#include "runtime/executor.h"
#include "runtime/random.h"
#include "wal/wal_store.h"

namespace forebay {

// A committed block whose events cannot be had, though its bytes are what was stored.
struct BadBlock {
  Offset first;
  Offset end;
  uint32_t checksum = 0;  // with `first` and `end`, it names this block and no other
  absl::Status why;
};

// What the drain needs from the node. All are called on `loop`; `done` may be called on any thread,
// inline too.
struct DrainPorts {
  using ReadDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<StoredBlock>>)>;
  using Done = absl::AnyInvocable<void(absl::Status)>;

  // Committed blocks from `from` on, about `bytes_max` of them. The first may start before `from`.
  // OUT_OF_RANGE: `from` has been trimmed. Empty: nothing committed there yet.
  absl::AnyInvocable<void(const PartitionId&, Offset from, size_t bytes_max, ReadDone)> read;
  // Every sink of the stream has had everything below `floor` for its keep_after_delivery.
  absl::AnyInvocable<void(const PartitionId&, Offset floor)> set_trim_floor;
  // Appends an event to a stream. OK means acknowledged: only then the poison event is skipped.
  absl::AnyInvocable<void(const StreamId&, Event, Done)> dead_letter;
  // Has an operator decided that sinks pass over exactly this block?
  using SetAsideDone = absl::AnyInvocable<void(absl::StatusOr<bool>)>;
  absl::AnyInvocable<void(const PartitionId&, const BadBlock&, SetAsideDone)> is_set_aside;
};

struct DrainOptions {
  // Wait before a retry: doubles from min to max, of which a random half to whole is waited.
  absl::Duration retry_wait_min = absl::Milliseconds(50);
  absl::Duration retry_wait_max = absl::Seconds(10);
};

// What a sink's way through a partition is at. The order of states: src/drain/drain_task.h.
enum class DrainState {
  kLost,           // this node does not own the partition; never told in a status
  kOpening,        // fencing lower epochs in the sink, and reading its progress
  kFindingStart,   // looks for the first event left, for a sink that holds no progress
  kIdle,           // has delivered everything committed
  kFilling,        // waits for a fuller batch, for batch_wait_max at the longest
  kReading,        // reads what the next batch is made of
  kDelivering,     // a batch is with the sink
  kDeadLetter,     // waits until a poison event is safe in the dead-letter stream
  kRetrying,       // the last call failed; waits, then opens and tries again, for ever
  kSteppedDown,    // a higher epoch has opened the sink; another node drains
  kSettingAside,   // passes over a block that an operator has set aside, or asks whether one has
  kMissingBlocks,  // the sink needs events that were trimmed; retries, and needs an operator
  kUndecodable,    // a block cannot be decoded; reads it again, and needs an operator
  kCount
};
const char* NameOf(DrainState state);
// How often each state was entered, by all sinks and partitions.
using DrainVisits = std::array<uint64_t, static_cast<size_t>(DrainState::kCount)>;

// Where one sink stands in one partition.
struct DrainStatus {
  PartitionId partition;
  SinkId sink;
  Epoch epoch;
  DrainState state = DrainState::kOpening;
  absl::Time since;              // when the state was entered; a run of retries counts as one
  std::optional<Offset> cursor;  // next offset to deliver; nothing before the first Open answered
  Offset committed;
  uint64_t lag_events = 0;                // committed and not delivered, once the cursor is known
  absl::Duration oldest_undelivered_age;  // since this owner learned of it; 0 when there is none
  std::string last_error;                 // empty when the last call went well
  uint64_t delivered_events = 0;          // these four since this owner started
  uint64_t retries = 0;
  uint64_t dead_lettered_events = 0;
  uint64_t set_aside_events = 0;  // passed over in blocks that an operator has set aside
};

// One task per (partition, sink) on the partition's owner. It never delivers what is not committed,
// never skips except a dead-lettered event or a block that is set aside, never gives up, and moves
// back only when the sink says so. It waits for a batch to fill only while what is undelivered does
// not fill one: a backlog goes batch after batch. A task holds one batch in delivery and at most
// one read ahead; an idle one costs nothing.
//
// Confined to `loop`. Sink calls block, so they run on `workers`, one at a time on each; a sink
// gets at most its share of them, so one that hangs does not stop the others. `loop` may be one of
// the workers. Clock and executors must outlive this object and the calls under way. It
// ends on `loop`, or when that runs nothing more.
class Drain {
 public:
  struct Runtime {
    Clock& clock;
    Executor& loop;
    std::vector<Executor*> workers;  // not empty
  };

  Drain(Runtime runtime, Random random, std::vector<SinkBinding> sinks, DrainPorts ports,
        DrainOptions options = {});
  ~Drain();

  // This node owns the partition at `epoch` and everything below `committed` is committed. A new
  // epoch opens the sinks again; lower epochs and lower offsets than known are ignored.
  void OnCommitted(const PartitionId& partition, Epoch epoch, Offset committed);
  // This node no longer owns it: nothing new is delivered, and no trim floor is set.
  void OnLost(const PartitionId& partition);

  // Of every owned partition and sink of its stream, in order of partition, then of binding.
  std::vector<DrainStatus> Status() const;
  const DrainVisits& visits() const;

  // No more calls to sinks and ports; `done` runs on `loop` when the last sink call has returned.
  void Stop(absl::AnyInvocable<void()> done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace forebay
