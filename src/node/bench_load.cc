#include "node/bench_load.h"

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
constexpr uint64_t kCallEvents = 256;

// One client and its thread.
class BenchProducer {
 public:
  BenchProducer(std::unique_ptr<Client> client, const EventSource& source, Clock& clock)
      : client_(std::move(client)), source_(source), clock_(clock), executor_("bench") {}

  void Start(const BenchLoadOptions& options, uint64_t first_event) {
    rate_ = options.rate / options.producers;
    in_flight_max_ = std::max<uint64_t>(options.in_flight / options.producers, kCallEvents);
    next_event_ = first_event;
    start_ = clock_.Now();
    executor_.Post([this] { rate_ > 0 ? OpenLoop() : ClosedLoop(); });
  }

  void Measure(bool on) {
    MutexLock lock(mutex_);
    measuring_ = on;
  }

  // Appends no more.
  void Cease() {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }

  // After Cease: waits until all is settled, for a while.
  void Stop() {
    executor_.Stop();
    client_->Close(absl::Seconds(20)).IgnoreError();  // what is left over counts as failed
  }

  void AddTo(BenchLoadResult& sum) {
    MutexLock lock(mutex_);
    sum.acknowledged += result_.acknowledged;
    sum.failed += result_.failed;
    sum.latency.Add(result_.latency);
    if (sum.first_failure.empty()) sum.first_failure = result_.first_failure;
  }

 private:
  // As many events as are due by now; each counts from when it was due.
  void OpenLoop() {
    if (Stopping()) return;
    const absl::Duration per_event = absl::Seconds(1 / rate_);
    while (start_ + per_event * static_cast<double>(due_) <= clock_.Now()) {
      const absl::Time due = start_ + per_event * static_cast<double>(due_++);
      client_->Append(source_.At(next_event_++), [this, due](const AppendResult& result) {
        const absl::Time now = clock_.Now();
        MutexLock lock(mutex_);
        Count(result, now - due);
      });
    }
    executor_.PostAfter(kTick, [this] { OpenLoop(); });
  }

  void ClosedLoop() {
    while (true) {
      {
        MutexLock lock(mutex_);
        while (!stopping_ && in_flight_ + kCallEvents > in_flight_max_) changed_.Wait(mutex_);
        if (stopping_) return;
        in_flight_ += kCallEvents;
      }
      std::vector<Event> events;
      events.reserve(kCallEvents);
      for (uint64_t i = 0; i < kCallEvents; ++i) events.push_back(source_.At(next_event_++));
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
    } else if (measuring_) {
      ++result_.acknowledged;
      result_.latency.Add(latency);
    }
  }

  bool Stopping() {
    MutexLock lock(mutex_);
    return stopping_;
  }

  const std::unique_ptr<Client> client_;
  const EventSource& source_;
  Clock& clock_;
  double rate_ = 0;
  uint64_t in_flight_max_ = 0;
  absl::Time start_;
  uint64_t next_event_ = 0;  // these two: the executor's
  uint64_t due_ = 0;

  Mutex mutex_;
  CondVar changed_;
  bool measuring_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  BenchLoadResult result_ ABSL_GUARDED_BY(mutex_);

  ThreadExecutor executor_;
};

}  // namespace

absl::StatusOr<BenchLoadResult> RunBenchLoad(const BenchLoadOptions& options,
                                             const EventSource& source, Clock& clock,
                                             const BenchHooks& hooks) {
  std::vector<std::unique_ptr<BenchProducer>> producers;
  for (int i = 0; i < options.producers; ++i) {
    ClientOptions client_options;
    client_options.nodes = options.nodes.addresses;
    client_options.tls = options.nodes.tls;
    client_options.token_file = options.nodes.token_file;
    client_options.stream = options.stream;
    auto client = Client::Connect(client_options);
    if (!client.ok()) return client.status();
    producers.push_back(std::make_unique<BenchProducer>(*std::move(client), source, clock));
  }
  for (size_t i = 0; i < producers.size(); ++i) {
    producers[i]->Start(options, i * 1'000'000'000);  // ids of their own
  }
  bool stopped = hooks.wait(options.warm_up);
  const absl::Time start = clock.Now();
  hooks.measuring(true);
  for (auto& producer : producers) producer->Measure(true);
  stopped = stopped || hooks.wait(options.measured);
  for (auto& producer : producers) producer->Measure(false);
  BenchLoadResult result;
  result.seconds = absl::ToDoubleSeconds(clock.Now() - start);
  hooks.measuring(false);
  for (auto& producer : producers) producer->Cease();
  for (auto& producer : producers) producer->Stop();
  if (stopped) return absl::CancelledError("the bench was stopped by a signal");
  for (auto& producer : producers) producer->AddTo(result);
  return result;
}

}  // namespace forebay
