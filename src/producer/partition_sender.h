// PartitionSender: the part of a producer that serves one partition. It batches events, gives them
// sequences, and sends blocks to the owner in order until each is settled.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "producer/attempts.h"
#include "producer/producer.h"

namespace forebay {

// What all senders of a producer share.
struct SenderContext {
  Clock& clock;
  Executor& executor;
  Random& random;
  IngestLink& link;
  const BatchOptions& batch;
  ProducerCounters& counters;
  ProducerId producer;
  // Was the id drawn, so that nobody else can have it?
  bool drawn = true;
  Codec codec = Codec::kZstd;
  // Asks for newer routes; they come through SetRoute.
  absl::AnyInvocable<void()> refresh_routes;
  // So many bytes have been settled.
  absl::AnyInvocable<void(size_t bytes)> settled;
  // Sealed and not settled, of all senders.
  size_t blocks = 0;
  // How long a block took from its sealing to its acknowledgement, smoothed.
  absl::Duration ack_time = absl::ZeroDuration();
  // When a node was last of use to one of the senders: it took a block, or was too busy to.
  std::map<NodeId, absl::Time> useful_at = {};
  // Of all senders, since then, for others to take over.
  int asks = 0;
  absl::Time asks_since = absl::InfinitePast();
  // When one of the senders last said that something waits.
  absl::Time said_at = absl::InfinitePast();
};

// Confined to the producer's executor.
class PartitionSender {
 public:
  PartitionSender(SenderContext& context, PartitionId partition);

  // Into the batch. Call Pump after the last of a run.
  void Add(AppendItem item, absl::Time now);
  // Sends what may leave.
  void Pump();
  // False: the route says nothing new, or is older than the one in use.
  bool SetRoute(const Route& route);
  // Looks after what is overdue. Called every 50 ms or so while something is not settled.
  void Tick();
  // What is in the batch now leaves without lingering.
  void Hurry();
  // Settles everything as unknown, or as not stored where that is sure, now and from now on.
  void Close();

  // Events taken in, and the prefix of them that is settled.
  uint64_t taken() const { return taken_; }
  uint64_t settled() const { return settled_; }
  // The batch fills a block.
  bool full() const { return batch_bytes_ >= context_.batch.block_bytes_max; }
  // It has an owner that is not known to be in trouble.
  bool well(absl::Time now) const;
  const ZoneId& owner_zone() const { return route_.owner_zone; }

 private:
  struct Waiting {
    std::function<void(const AppendResult&)> done;
    absl::Time taken;
    size_t memory_bytes;
  };
  // Fills up to one block.
  struct Batch {
    std::vector<Event> events;
    std::vector<Waiting> waiting;  // waiting[i] for events[i]
    size_t bytes = 0;
    absl::Time since;
  };
  struct Sent {
    uint64_t number;  // of this block, to find it again
    absl::Time sealed;
    Block block;
    std::vector<Waiting> waiting;  // for its events
    Attempts attempts = {};
    uint64_t generation = 0;  // of the last attempt, or 0: its answer does not count any more
    bool settled = false;
  };

  bool BatchMayLeave() const;
  absl::Duration Linger() const;
  void Seal();
  void Send(Sent& sent);
  void ArmLinger();
  void OnAnswer(const NodeId& node, uint64_t number, uint64_t generation, AppendResult result);
  void OnAcknowledged(Sent& sent, AppendResult result);
  void OnNotStored(size_t index, const absl::Status& status);
  void OnSequenceRefused(const Sent& sent, const absl::Status& status);
  // Sends again from the oldest unsettled block on, or from blocks_[first] on, after `wait`.
  void Rewind(absl::Duration wait, size_t first = 0);
  void OnBusy(size_t index, const absl::Status& status);
  absl::Duration Backoff(const absl::Status& status);
  void NoteReach(const absl::Status& status);
  void AskToTakeOver();
  void GiveUpOld();
  // Says once in a while that something waits for long, and for what: with give_up_after infinite
  // nobody else would.
  void SayWhatWaits(absl::Time now);
  absl::Status GaveUp() const;
  // What the owner said last, for those who are told that it failed.
  std::string LastAnswer() const;
  // Tells `result` to those who wait for consecutive events; its offset is that of the first.
  void Report(std::vector<Waiting> waiting, AppendResult result);
  // Settles the blocks that were sealed, and starts a new run of sequences.
  void FailSealed(const absl::Status& status);
  void FailBatches(const absl::Status& status);
  void StartNewRun();
  bool Idle() const { return blocks_.empty() && batches_.empty(); }
  bool Quiet(absl::Duration time, absl::Time now) const { return now - quiet_since_ >= time; }
  // Quiet for longer than an owner that only has much to do.
  bool InTrouble(absl::Time now) const;
  Task Guarded(absl::AnyInvocable<void()> task);

  SenderContext& context_;
  const PartitionId partition_;
  Route route_;

  std::deque<Batch> batches_;  // oldest first; all but the last are full
  size_t batch_bytes_ = 0;     // of all batches
  uint64_t hurry_until_ = 0;   // events before this one do not linger
  bool linger_armed_ = false;

  std::deque<Sent> blocks_;  // not settled, oldest first; at most Producer::kWindowBlocks
  double window_;            // so many of them may be on their way
  size_t next_to_send_ = 0;  // index in blocks_
  uint64_t next_number_ = 0;
  uint64_t producer_epoch_;
  uint64_t next_sequence_ = 0;
  uint64_t taken_ = 0, settled_ = 0;
  absl::Time last_settled_ = absl::InfiniteFuture();
  absl::Status broken_;  // this producer can append no more

  uint64_t generation_ = 1;  // rises with every rewind
  absl::Time resume_at_ = absl::InfinitePast();
  // The owner has been of no use since, although something was sent, or should have been.
  absl::Time quiet_since_ = absl::InfiniteFuture();
  absl::Time sent_again_at_ = absl::InfinitePast();
  int unanswered_rounds_ = 0;  // sent again without any answer, since the last acknowledgement
  absl::Time asked_at_ = absl::InfinitePast();
  size_t ask_next_ = 0;
  int failures_ = 0;           // since the last acknowledgement
  int unreachable_ = 0;        // attempts in a row that reached nobody
  absl::Status last_refusal_;  // by an owner, since the last acknowledgement
  int sequence_refusals_ = 0;  // of the oldest block, since the last acknowledgement
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace forebay
