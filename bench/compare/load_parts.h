// The arithmetic of a load: when an event is due, which ones are in flight, what is counted.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "compare/peer.h"
#include "load/latency_histogram.h"

namespace forebay::compare {

// The part of the time that counts.
struct Span {
  Instant begin = 0;
  Instant end = 0;  // not in it

  bool Has(Instant at) const { return at >= begin && at < end; }
};

// When the events of one publisher of an open loop are due, whatever the answers do. The
// publishers' events are spread evenly between each other's.
class Schedule {
 public:
  struct Rate {
    double per_second = 0;  // of all publishers together
    int publishers = 1;
  };
  Schedule(Rate rate, int publisher, Instant start);

  Instant DueAt(uint64_t number) const;

 private:
  const double interval_;  // nanoseconds
  const double first_;
};

// What one publisher has in flight: at most `capacity` consecutive tickets.
class Window {
 public:
  explicit Window(size_t capacity) : capacity_(capacity) {}

  size_t room() const { return capacity_ - slots_.size(); }
  bool empty() const { return slots_.empty(); }
  Ticket next() const { return first_ + slots_.size(); }
  // Needs room. `due` is what the latency counts from.
  Ticket Take(Instant due, Instant sent);
  // When it was due; nullopt: it was answered before, or never sent.
  std::optional<Instant> Settle(Ticket ticket);
  // Sent, and neither settled. In order.
  std::vector<Ticket> Unsettled() const;
  bool IsUnsettled(Ticket ticket) const;
  // When the oldest one was sent the last time.
  std::optional<Instant> OldestSent() const;
  void SentAgain(Ticket ticket, Instant sent);

 private:
  struct Slot {
    Instant due = 0;
    Instant sent = 0;
    bool settled = false;
  };
  const size_t capacity_;
  Ticket first_ = 0;
  std::deque<Slot> slots_;
};

// What one publisher saw. Throughput counts acknowledgements within the span. Latencies are those
// of every event that was due within it, however late the acknowledgement came, so that a stall
// shows in all the events that it held up.
class Tally {
 public:
  explicit Tally(Span span) : span_(span), last_(span.begin) {}

  void Acknowledged(Instant due, Instant at);
  // An event that was due and is not acknowledged by `now`, when nobody waits any longer: it counts
  // with what it has waited so far.
  void Unanswered(Instant due, Instant now);
  void Add(const Tally& other);

  uint64_t acknowledged() const { return acknowledged_; }
  uint64_t acknowledged_ever() const { return acknowledged_ever_; }
  uint64_t unanswered() const { return unanswered_; }
  const LatencyHistogram& latency() const { return latency_; }
  // The longest time within the span without an acknowledgement; one that lasts at its end counts
  // up to there. After Add, the longest of any.
  absl::Duration longest_gap() const;

 private:
  Span span_;
  uint64_t acknowledged_ = 0;
  uint64_t acknowledged_ever_ = 0;
  uint64_t unanswered_ = 0;
  LatencyHistogram latency_;
  Instant last_;
  int64_t gap_ = 0;
};

// Acknowledged events against what was read back.
class Verdict {
 public:
  explicit Verdict(std::vector<uint64_t> acknowledged);

  void Read(std::string_view event);

  struct Counts {
    uint64_t acknowledged = 0;
    uint64_t read = 0;
    uint64_t lost = 0;        // acknowledged and not there
    uint64_t duplicates = 0;  // copies beyond the first
    uint64_t foreign = 0;     // not events of ours
  };
  Counts counts() const;

 private:
  std::vector<uint64_t> acknowledged_;  // sorted
  std::vector<uint64_t> read_;
  uint64_t foreign_ = 0;
};

}  // namespace forebay::compare
