// Producer: takes the events of one stream, packs them into blocks per partition, and brings each
// block to its partition's owner until its outcome is known. Buffer, Client and the simulation all
// use it. (docs/design/protocol.md#producers)
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "block/event_ids.h"
#include "forebay/clock.h"
#include "forebay/errors.h"
#include "forebay/event.h"
#include "forebay/options.h"
#include "producer/ingest_link.h"
#include "producer/producer_counters.h"
#include "runtime/executor.h"
#include "runtime/random.h"

namespace forebay {

class PartitionSender;
struct SenderContext;

struct ProducerOptions {
  StreamId stream = {};
  ZoneId zone = {};  // prefers owners in this zone for events without a key; empty = any
  BatchOptions batch = {};
};

// An event and its callback. `done` is a std::function because a small one costs no allocation.
struct AppendItem {
  Event event;
  std::function<void(const AppendResult&)> done;
};

// Confined to one executor; `done` callbacks run on it and may call Append.
//
// Routing: an event with a key goes to partition CRC-32C(key) mod partitions; the others go to one
// partition at a time, with an owner in the own zone if there is one.
// Order: the blocks of a partition are sent in order, at most kWindowBlocks at once, and fewer
// while the owner has no room; after any failure everything from the oldest unsettled block on is
// sent again, with the same sequences (from the refused one on, where the owner only had no room).
class Producer {
 public:
  // As many as an owner remembers of a producer.
  static constexpr size_t kWindowBlocks = 16;

  // `link` and the others must outlive it. Asks for the routes at once.
  Producer(Clock& clock, Executor& executor, Random random, IngestLink& link,
           ProducerOptions options);
  // What is not settled is never reported: Close first. Not from one of its callbacks.
  ~Producer();

  // Refuses events over a limit (INVALID_ARGUMENT) and what does not fit into memory_bytes_max
  // (RESOURCE_EXHAUSTED), both as "not stored", before it returns.
  void Append(Event event, std::function<void(const AppendResult&)> done);
  // The same for many that were validated; leaves `items` empty.
  void AppendValid(std::vector<AppendItem>& items);

  // Sends what lingers; `done` when all that was appended before is settled.
  void Flush(absl::AnyInvocable<void()> done);
  // Refuses what is new, flushes, and after `limit` reports the rest as unknown, or as not stored
  // where that is sure. `all_settled` says whether that was not needed.
  void Close(absl::Duration limit, absl::AnyInvocable<void(bool all_settled)> done);

  // Told how much memory settled events have given back, once per block.
  void OnReleased(absl::AnyInvocable<void(size_t bytes)> released);

  // Any thread.
  ProducerStats stats() const { return counters_.Read(); }

  // What an event is charged against memory_bytes_max.
  static size_t MemoryBytes(const Event& event);

 private:
  struct FlushWaiter {
    std::vector<uint64_t> targets;  // events taken in, by partition
    absl::AnyInvocable<void()> done;
  };

  void Refuse(AppendItem& item, absl::Status status);
  void FailUnrouted(const absl::Status& status);
  void Take(AppendItem item, absl::Time now);
  void PumpTouched();
  size_t Choose(const Event& event, absl::Time now);
  size_t ChooseAny(absl::Time now);
  void RefreshRoutes();
  void AskForRoutes();
  void OnRoutes(absl::StatusOr<StreamRoutes> routes);
  void ScheduleTick();
  void Tick();
  void CheckFlushed();
  bool Settled() const;
  void FinishClose(bool all_settled);
  // The task, unless this producer is gone by then.
  Task Guarded(absl::AnyInvocable<void()> task);

  Clock& clock_;
  Executor& executor_;
  IngestLink& link_;
  Random random_;
  EventIds ids_{random_.HexId()};
  const ProducerOptions options_;
  ProducerCounters counters_;
  absl::AnyInvocable<void(size_t)> released_;
  size_t memory_bytes_ = 0;

  std::unique_ptr<SenderContext> context_;
  std::vector<std::unique_ptr<PartitionSender>> senders_;  // by partition; empty before the routes
  std::vector<AppendItem> unrouted_;                       // waits for the routes
  std::vector<size_t> touched_;  // partitions with new events, to be pumped
  size_t chosen_ = 0;            // for events without a key
  absl::Time chosen_at_ = absl::InfinitePast();

  bool asking_ = false;      // a Describe is under way, or waits for its turn
  uint64_t ask_number_ = 0;  // of the one whose answer counts
  absl::Time asked_at_ = absl::InfinitePast();
  int ask_failures_ = 0;

  bool ticking_ = false;
  bool closing_ = false;
  absl::AnyInvocable<void(bool)> close_done_;
  std::deque<FlushWaiter> flushes_;
  // Tasks and callbacks under way hold it weakly, and do nothing when it is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace forebay
