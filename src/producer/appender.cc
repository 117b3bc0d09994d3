#include "producer/appender.h"

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/handover.h"

namespace forebay {
namespace {

constexpr absl::Duration kRetryHint = absl::Milliseconds(50);
constexpr absl::Duration kCloseDeadline = absl::Seconds(10);

}  // namespace

class Appender::ManyResults {
 public:
  ManyResults(size_t count, ManyDone done)
      : results_(count), left_(count), done_(std::move(done)) {}

  // For event `index`. The last one tells all, and ends this object: it belongs to the callbacks
  // of its events, each of which runs once.
  static void Set(ManyResults* many, uint32_t index, const AppendResult& result) {
    many->results_[index] = result;
    if (many->left_.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
    const std::unique_ptr<ManyResults> last(many);
    last->done_(last->results_);
  }

 private:
  std::vector<AppendResult> results_;
  std::atomic<size_t> left_;
  ManyDone done_;
};

Appender::Appender(Clock& clock, Executor& executor, Random random, IngestLink& link,
                   ProducerOptions options)
    : clock_(clock), executor_(executor), batch_(options.batch) {
  const auto made = Handover<std::unique_ptr<Producer>>::Make();
  executor_.Post([this, made, random, &link, options = std::move(options)]() mutable {
    auto producer = std::make_unique<Producer>(clock_, executor_, random, link, std::move(options));
    producer->OnReleased([this](size_t bytes) {
      MutexLock lock(mutex_);
      memory_bytes_ -= bytes;
      if (waiting_ > 0) changed_.SignalAll();
    });
    made->Give(std::move(producer));
  });
  producer_ = made->Take();
}

Appender::~Appender() {
  bool closed;
  {
    MutexLock lock(mutex_);
    closed = closed_;
  }
  if (!closed) Close(kCloseDeadline).IgnoreError();
}

void Appender::Refuse(Done done, absl::Status status) {
  // Not inside the caller's call: it may hold a lock that its callback takes.
  executor_.Post([done = std::move(done), status = std::move(status)] {
    done({.outcome = Outcome::kNotStored, .status = status});
  });
}

absl::Status Appender::WaitForRoom(size_t bytes) {
  // A single event always fits, or it could never be appended at all.
  while (!closed_ && memory_bytes_ > 0 && memory_bytes_ + bytes > batch_.memory_bytes_max) {
    if (!batch_.wait_for_memory) {
      return WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat(
                                memory_bytes_, " bytes are not settled yet, and this event has ",
                                bytes, "; memory_bytes_max is ", batch_.memory_bytes_max)),
                            kRetryHint);
    }
    waiting_++;
    changed_.Wait(mutex_);
    waiting_--;
  }
  return closed_ ? absl::UnavailableError("append after Close") : absl::OkStatus();
}

void Appender::Take(AppendItem item) {
  absl::Status status = ValidateEvent(item.event);
  {
    MutexLock lock(mutex_);
    const size_t bytes = Producer::MemoryBytes(item.event);
    if (status.ok()) status = WaitForRoom(bytes);
    if (status.ok()) {
      memory_bytes_ += bytes;
      inbox_.push_back(std::move(item));
      if (inbox_.size() == 1) executor_.Post([this] { Drain(); });
      return;
    }
    refused_++;
  }
  Refuse(std::move(item.done), std::move(status));
}

void Appender::Drain() {
  {
    MutexLock lock(mutex_);
    draining_.swap(inbox_);
  }
  if (producer_ != nullptr) producer_->AppendValid(draining_);
}

void Appender::Append(Event event, Done done) {
  Take({.event = std::move(event), .done = std::move(done)});
}

void Appender::Append(std::vector<Event> events, ManyDone done) {
  if (events.empty()) {
    executor_.Post([done = std::move(done)] { done({}); });
    return;
  }
  ManyResults* const many = new ManyResults(events.size(), std::move(done));
  uint32_t index = 0;
  for (Event& event : events) {
    // Small enough for std::function to hold without an allocation.
    Take({.event = std::move(event), .done = [many, index](const AppendResult& result) {
            ManyResults::Set(many, index, result);
          }});
    index++;
  }
}

AppendResult Appender::Append(Event event) {
  const auto answer = Handover<AppendResult>::Make();
  Append(std::move(event), [answer](const AppendResult& result) { answer->Give(result); });
  return answer->Take();
}

absl::Status Appender::Flush(absl::Duration deadline) {
  const auto flushed = Handover<bool>::Make();
  executor_.Post([this, flushed] {
    if (producer_ == nullptr) return flushed->Give(true);
    Drain();
    producer_->Flush([flushed] { flushed->Give(true); });
  });
  if (flushed->TakeWithin(clock_, deadline).has_value()) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat("after ", absl::FormatDuration(deadline),
                                                  " not everything is settled yet; it goes on"));
}

absl::Status Appender::Close(absl::Duration deadline) {
  {
    MutexLock lock(mutex_);
    if (closed_) return absl::OkStatus();
    closed_ = true;
    changed_.SignalAll();
  }
  const auto closed = Handover<bool>::Make();
  executor_.Post([this, deadline, closed] {
    Drain();
    producer_->Close(deadline, [closed](bool all_settled) { closed->Give(all_settled); });
  });
  const bool all_settled = closed->Take();
  // The executor is the only place where the producer may end.
  const auto gone = Handover<bool>::Make();
  executor_.Post([this, gone] {
    std::unique_ptr<Producer> last;
    {
      MutexLock lock(mutex_);
      last_stats_ = producer_->stats();
      last = std::move(producer_);
    }
    last.reset();
    gone->Give(true);
  });
  gone->Take();
  if (all_settled) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat(
      "after ", absl::FormatDuration(deadline), " not everything was settled; the rest was ",
      "reported as unknown, or as not stored where that is sure"));
}

ProducerStats Appender::stats() const {
  MutexLock lock(mutex_);
  ProducerStats stats = producer_ == nullptr ? last_stats_ : producer_->stats();
  stats.appended_events += refused_;
  stats.refused_events += refused_;
  stats.memory_bytes = memory_bytes_;
  return stats;
}

}  // namespace forebay
