#include "load/bench_load.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "forebay/client.h"
#include "runtime/mutex.h"
#include "runtime/thread_executor.h"

namespace forebay {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(1);
// Appended in one call, so that the bench measures the nodes more than itself.
constexpr uint64_t kCallEventsMax = 256;
// Where fewer are in flight, so many calls share them.
constexpr uint64_t kCallsInFlight = 8;
// Of the open loop, before it looks whether it is to stop.
constexpr uint64_t kTurnEvents = 1024;
// All of them together, to settle what they have appended.
constexpr absl::Duration kStopWithin = absl::Seconds(20);

}  // namespace

double BenchLoadResult::PerSecond() const {
  return seconds <= 0 ? 0 : static_cast<double>(acknowledged) / seconds;
}

double BenchLoadResult::LargestPartitionShare() const {
  if (acknowledged == 0) return 0;
  const uint64_t largest = *std::max_element(by_partition.begin(), by_partition.end());
  return static_cast<double>(largest) / static_cast<double>(acknowledged);
}

// One client and its thread.
class BenchLoad::Producer {
 public:
  Producer(std::unique_ptr<Client> client, const EventSource& source, Clock& clock,
           const BenchLoadOptions& options)
      : client_(std::move(client)),
        source_(source),
        clock_(clock),
        rate_(options.rate / options.producers),
        in_flight_max_(options.in_flight / options.producers),
        call_events_(std::clamp<uint64_t>(in_flight_max_ / kCallsInFlight, 1, kCallEventsMax)),
        executor_("bench") {}

  void Start(uint64_t first_event) {
    next_event_ = first_event;
    start_ = clock_.Now();
    executor_.Post([this] { rate_ > 0 ? OpenLoop() : ClosedLoop(); });
  }

  // Appends no more.
  void Cease() {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }

  // After Cease: waits until all is settled, or the time is up.
  void Stop(absl::Time deadline) {
    executor_.Stop();
    const absl::Duration left = std::max(deadline - clock_.Now(), absl::ZeroDuration());
    client_->Close(left).IgnoreError();  // what is left over counts as failed
  }

  // And counts from zero again, but for failures.
  void TakeInto(BenchLoadResult& sum) {
    MutexLock lock(mutex_);
    sum.acknowledged += result_.acknowledged;
    sum.failed += result_.failed;
    sum.latency.Add(result_.latency);
    if (sum.first_failure.empty()) sum.first_failure = result_.first_failure;
    std::vector<uint64_t>& counts = sum.by_partition;
    counts.resize(std::max(counts.size(), result_.by_partition.size()));
    for (size_t i = 0; i < result_.by_partition.size(); ++i) counts[i] += result_.by_partition[i];
    result_.acknowledged = 0;
    result_.latency = LatencyHistogram();
    result_.by_partition.clear();
  }

  ProducerStats stats() const { return client_->stats(); }

 private:
  // As many events as are due by now; each counts from when it was due.
  void OpenLoop() {
    if (Stopping()) return;
    const absl::Duration per_event = absl::Seconds(1 / rate_);
    bool behind = true;
    for (uint64_t i = 0; i < kTurnEvents; ++i) {
      const absl::Time due = start_ + per_event * static_cast<double>(due_);
      behind = due <= clock_.Now();
      if (!behind) break;
      ++due_;
      client_->Append(source_.At(next_event_++), [this, due](const AppendResult& result) {
        const absl::Time now = clock_.Now();
        MutexLock lock(mutex_);
        Count(result, now - due);
      });
    }
    executor_.PostAfter(behind ? absl::ZeroDuration() : kTick, [this] { OpenLoop(); });
  }

  void ClosedLoop() {
    while (true) {
      {
        MutexLock lock(mutex_);
        while (!stopping_ && in_flight_ + call_events_ > in_flight_max_) changed_.Wait(mutex_);
        if (stopping_) return;
        in_flight_ += call_events_;
      }
      std::vector<Event> events;
      events.reserve(call_events_);
      for (uint64_t i = 0; i < call_events_; ++i) events.push_back(source_.At(next_event_++));
      const absl::Time sent = clock_.Now();
      client_->Append(std::move(events), [this, sent](absl::Span<const AppendResult> results) {
        const absl::Time now = clock_.Now();
        MutexLock lock(mutex_);
        for (const AppendResult& result : results) Count(result, now - sent);
        in_flight_ -= results.size();
        changed_.SignalAll();
      });
    }
  }

  void Count(const AppendResult& result, absl::Duration latency)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (result.outcome != Outcome::kAcknowledged) {
      ++result_.failed;
      if (result_.first_failure.empty()) result_.first_failure = result.status.ToString();
      return;
    }
    ++result_.acknowledged;
    result_.latency.Add(latency);
    const size_t partition = result.partition.index;
    if (result_.by_partition.size() <= partition) result_.by_partition.resize(partition + 1);
    ++result_.by_partition[partition];
  }

  bool Stopping() {
    MutexLock lock(mutex_);
    return stopping_;
  }

  const std::unique_ptr<Client> client_;
  const EventSource& source_;
  Clock& clock_;
  const double rate_;
  const uint64_t in_flight_max_;
  const uint64_t call_events_;
  absl::Time start_;
  uint64_t next_event_ = 0;  // these two: the executor's
  uint64_t due_ = 0;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  BenchLoadResult result_ ABSL_GUARDED_BY(mutex_);

  ThreadExecutor executor_;
};

BenchLoad::BenchLoad(Clock& clock) : clock_(clock) {}

BenchLoad::~BenchLoad() { Stop(); }

absl::StatusOr<std::unique_ptr<BenchLoad>> BenchLoad::Connect(const BenchLoadOptions& options,
                                                              const EventSource& source,
                                                              Clock& clock) {
  std::unique_ptr<BenchLoad> load(new BenchLoad(clock));
  for (int i = 0; i < options.producers; ++i) {
    ClientOptions client_options;
    client_options.nodes = options.nodes.addresses;
    client_options.tls = options.nodes.tls;
    client_options.token_file = options.nodes.token_file;
    client_options.stream = options.stream;
    auto client = Client::Connect(client_options);
    if (!client.ok()) return WithContext(client.status(), "producer ", i);
    load->producers_.push_back(
        std::make_unique<Producer>(*std::move(client), source, clock, options));
  }
  return load;
}

void BenchLoad::Start() {
  taken_at_ = clock_.Now();
  for (size_t i = 0; i < producers_.size(); ++i) {
    producers_[i]->Start(i * 1'000'000'000);  // ids of their own
  }
}

BenchLoadResult BenchLoad::Take() {
  BenchLoadResult result;
  const absl::Time now = clock_.Now();
  for (auto& producer : producers_) producer->TakeInto(result);
  result.seconds = absl::ToDoubleSeconds(now - std::exchange(taken_at_, now));
  return result;
}

ProducerStats BenchLoad::stats() const {
  ProducerStats sum;
  for (const auto& producer : producers_) {
    const ProducerStats one = producer->stats();
    sum.appended_events += one.appended_events;
    sum.acknowledged_events += one.acknowledged_events;
    sum.not_stored_events += one.not_stored_events;
    sum.unknown_events += one.unknown_events;
    sum.until_sealed += one.until_sealed;
    sum.until_acknowledged += one.until_acknowledged;
  }
  return sum;
}

void BenchLoad::Stop() {
  if (std::exchange(stopped_, true)) return;
  for (auto& producer : producers_) producer->Cease();
  const absl::Time deadline = clock_.Now() + kStopWithin;
  for (auto& producer : producers_) producer->Stop(deadline);
}

}  // namespace forebay
