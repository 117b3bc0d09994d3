#include "drill/drill_load.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace forebay {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(2);
constexpr size_t kFailuresShown = 5;

}  // namespace

struct DrillLoad::Producer {
  explicit Producer(std::string name) : executor(std::move(name)) {}

  int index = 0;
  uint64_t events = 0;  // that it is to send at most

  mutable Mutex mutex;
  DrillLog log ABSL_GUARDED_BY(mutex);
  DrillLoadCounts counts ABSL_GUARDED_BY(mutex);
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  bool all_sent ABSL_GUARDED_BY(mutex) = false;
  std::vector<std::string> failures ABSL_GUARDED_BY(mutex);

  std::unique_ptr<Client> client;
  ThreadExecutor executor;  // stops first: its task uses all of the above
};

absl::StatusOr<std::unique_ptr<DrillLoad>> DrillLoad::Connect(const DrillLoadOptions& options,
                                                              const EventSource& source,
                                                              Clock& clock) {
  std::unique_ptr<DrillLoad> load(new DrillLoad(options, source, clock));
  for (int i = 0; i < options.producers; ++i) {
    ClientOptions client_options;
    client_options.nodes = options.nodes;
    client_options.tls = options.tls;
    client_options.stream = options.stream;
    auto client = Client::Connect(client_options);
    if (!client.ok()) return WithContext(client.status(), "producer ", i);
    auto producer = std::make_unique<Producer>(absl::StrCat("producer-", i));
    producer->client = *std::move(client);
    producer->index = i;
    const uint64_t count = options.producers;
    producer->events =
        options.events == 0
            ? std::numeric_limits<uint64_t>::max()
            : options.events / count + (static_cast<uint64_t>(i) < options.events % count);
    load->producers_.push_back(std::move(producer));
  }
  return load;
}

DrillLoad::DrillLoad(const DrillLoadOptions& options, const EventSource& source, Clock& clock)
    : options_(options), source_(source), clock_(clock) {}

DrillLoad::~DrillLoad() {
  for (auto& producer : producers_) producer->executor.Stop();
  for (auto& producer : producers_) {
    // What is not settled by now was reported as such; nobody waits for it any more.
    producer->client->Close(absl::ZeroDuration()).IgnoreError();
  }
}

void DrillLoad::Start() {
  const absl::Time start = clock_.Now();
  for (auto& producer : producers_) {
    producer->executor.Post([this, p = producer.get(), start] { SendDue(*p, start); });
  }
}

void DrillLoad::SendDue(Producer& producer, absl::Time start) {
  const double rate = options_.rate / static_cast<double>(options_.producers);
  const double elapsed = absl::ToDoubleSeconds(clock_.Now() - start);
  const uint64_t due = std::min(producer.events, static_cast<uint64_t>(elapsed * rate) + 1);
  while (true) {
    size_t index = 0;
    Event event;
    {
      MutexLock lock(producer.mutex);
      index = producer.log.size();
      producer.all_sent = producer.stopping || index == producer.events;
      if (producer.all_sent) return;
      if (index >= due) break;
      event = source_.At(index * options_.producers + producer.index);
      producer.log.push_back({.id = event.id, .sent = clock_.Now(), .acknowledged = {}});
      ++producer.counts.sent;
    }
    producer.client->Append(std::move(event), [this, &producer, index](const AppendResult& r) {
      Settle(producer, index, r);
    });
  }
  producer.executor.PostAfter(kTick, [this, &producer, start] { SendDue(producer, start); });
}

void DrillLoad::Settle(Producer& producer, size_t index, const AppendResult& result) {
  const absl::Time now = clock_.Now();
  MutexLock lock(producer.mutex);
  if (result.outcome == Outcome::kAcknowledged) {
    ++producer.counts.acknowledged;
    producer.log[index].acknowledged = DrillAck{result.partition.index, result.offset.value(), now};
    return;
  }
  ++producer.counts.failed;
  if (producer.failures.size() < kFailuresShown) {
    producer.failures.push_back(absl::StrCat(
        result.outcome == Outcome::kNotStored ? "not stored: " : "unknown: ", "event '",
        producer.log[index].id, "': ", result.status.ToString()));
  }
}

void DrillLoad::StopSending() {
  for (const auto& producer : producers_) {
    MutexLock lock(producer->mutex);
    producer->stopping = true;
  }
}

bool DrillLoad::AllSent() const {
  return std::all_of(producers_.begin(), producers_.end(), [](const auto& producer) {
    MutexLock lock(producer->mutex);
    return producer->all_sent;
  });
}

DrillLoadCounts DrillLoad::counts() const {
  DrillLoadCounts all;
  for (const auto& producer : producers_) {
    MutexLock lock(producer->mutex);
    all.sent += producer->counts.sent;
    all.acknowledged += producer->counts.acknowledged;
    all.failed += producer->counts.failed;
  }
  return all;
}

std::vector<std::string> DrillLoad::failures() const {
  std::vector<std::string> all;
  for (const auto& producer : producers_) {
    MutexLock lock(producer->mutex);
    all.insert(all.end(), producer->failures.begin(), producer->failures.end());
  }
  if (all.size() > kFailuresShown) all.resize(kFailuresShown);
  return all;
}

absl::Status DrillLoad::Finish(absl::Duration limit) {
  absl::Status first;
  for (auto& producer : producers_) {
    producer->executor.Stop();
    first.Update(producer->client->Flush(limit));
  }
  return first;
}

std::vector<DrillLog> DrillLoad::logs() const {
  std::vector<DrillLog> all;
  for (const auto& producer : producers_) {
    MutexLock lock(producer->mutex);
    all.push_back(producer->log);
  }
  return all;
}

}  // namespace forebay
