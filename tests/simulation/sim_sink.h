// A downstream with transactions, like PostgreSQL in docs/SINKS.md: progress and events change in
// one step. It fails before or after the commit, as asked.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "block/block.h"
#include "forebay/sink.h"
#include "runtime/random.h"
#include "simulation/invariants.h"
#include "support/sim_executor.h"

namespace forebay {

struct SinkFaults {
  double fails = 0;      // nothing happened, and the caller knows
  double ambiguous = 0;  // the answer to a commit is lost; it took effect or not
  double poison = 0;     // share of events that it refuses for ever
};

struct SinkCounters {
  uint64_t opened = 0, delivered = 0, skipped = 0, fenced = 0, rewound = 0, ambiguous = 0,
           passed_over = 0;
};

// The database; every node's sink is a connection to it.
class SimDatabase {
 public:
  SimDatabase(const Simulation& simulation, Random random, Invariants& invariants)
      : simulation_(simulation), random_(random), invariants_(invariants) {}

  void SetFaults(SinkFaults faults) { faults_ = faults; }
  void DownUntil(absl::Time until) { down_until_ = until; }
  // Until then every commit takes effect and no answer comes.
  void TimeOutUntil(absl::Time until) { times_out_until_ = until; }
  // It is safe in the dead-letter stream.
  void DeadLettered(const Event& event) { dead_letters_.insert(event.id); }
  const SinkCounters& counters() const { return counters_; }

  absl::StatusOr<SinkProgress> Open(const SinkId& sink, const PartitionId& partition, Epoch epoch) {
    if (Fails()) return absl::UnavailableError("the database is down");
    Progress& progress = progress_[{sink, partition}];
    if (epoch < progress.epoch) return Fenced();
    progress.epoch = epoch;
    counters_.opened++;
    return SinkProgress{progress.next};
  }
  absl::Status Deliver(const SinkBatch& batch) {
    for (const Event& event : batch.events) {
      if (IsPoison(event)) return absl::InvalidArgumentError("the event violates a constraint");
    }
    return Commit(batch);
  }
  absl::Status Skip(const SinkBatch& batch) {
    if (batch.events.empty()) return Commit(batch);  // of a block that cannot be decoded
    for (Offset offset = batch.first; offset <= batch.last; offset = offset + 1) {
      const std::string letter =
          absl::StrCat(batch.sink.value(), "/", batch.partition.ToString(), "/", offset.value());
      if (!dead_letters_.contains(letter)) {
        invariants_.Break("G8", letter + " is skipped before it is a dead letter");
      }
    }
    counters_.skipped += batch.events.size();
    return Commit(batch);
  }

 private:
  struct Progress {
    Epoch epoch;
    Offset next;
  };

  bool Fails() { return simulation_.Now() < down_until_ || random_.Chance(faults_.fails); }
  // The same events always.
  bool IsPoison(const Event& event) const {
    return Random(NumberOf(event) * 0x9e3779b97f4a7c15u).Chance(faults_.poison);
  }
  absl::Status Fenced() {
    counters_.fenced++;
    return absl::FailedPreconditionError("a higher epoch has been here");
  }
  absl::Status Commit(const SinkBatch& batch) {
    if (Fails()) return absl::UnavailableError("the database is down");
    Progress& progress = progress_[{batch.sink, batch.partition}];
    if (batch.epoch != progress.epoch) return Fenced();
    if (batch.first != progress.next) {
      counters_.rewound++;
      return absl::OutOfRangeError("not the next offset");
    }
    const bool passes_over = batch.events.empty();
    if ((!passes_over && batch.last + 1 != batch.first + batch.events.size()) ||
        batch.digest != DigestOf(batch.events)) {
      invariants_.Break("G5", "a batch does not hold what it says");
    }
    const bool times_out = simulation_.Now() < times_out_until_;
    const bool ambiguous = times_out || random_.Chance(faults_.ambiguous);
    if (ambiguous) counters_.ambiguous++;
    if (!ambiguous || times_out || random_.Chance(0.5)) {
      progress.next = batch.last + 1;
      counters_.delivered += batch.events.size();
      if (passes_over) {
        counters_.passed_over += batch.last.value() + 1 - batch.first.value();
        invariants_.OnPassedOver(batch.sink, batch.partition, batch.first, batch.last);
      } else {
        invariants_.OnDelivered(batch.sink, batch.partition, batch.first, batch.events);
      }
    }
    if (ambiguous) return absl::DeadlineExceededError("no answer to the commit");
    return absl::OkStatus();
  }

  const Simulation& simulation_;
  Random random_;
  Invariants& invariants_;
  SinkFaults faults_;
  absl::Time down_until_ = absl::InfinitePast();
  absl::Time times_out_until_ = absl::InfinitePast();
  SinkCounters counters_;
  std::map<std::pair<SinkId, PartitionId>, Progress> progress_;
  std::set<std::string> dead_letters_;
};

class SimSink final : public Sink {
 public:
  // `delivering` is called with every batch.
  SimSink(SimDatabase& database, SinkId name, std::function<void()> delivering)
      : database_(database), name_(std::move(name)), delivering_(std::move(delivering)) {}
  absl::StatusOr<SinkProgress> Open(const PartitionId& partition, Epoch epoch) override {
    return database_.Open(name_, partition, epoch);
  }
  absl::Status Deliver(const SinkBatch& batch) override {
    delivering_();
    return database_.Deliver(batch);
  }
  absl::Status Skip(const SinkBatch& batch) override { return database_.Skip(batch); }
  bool HoldsProgress() const override { return true; }

 private:
  SimDatabase& database_;
  const SinkId name_;
  const std::function<void()> delivering_;
};

}  // namespace forebay
