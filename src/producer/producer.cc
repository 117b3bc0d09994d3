#include "producer/producer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/status.h"
#include "producer/partition_sender.h"

namespace forebay {
namespace {

// How often what is not settled is looked after.
constexpr absl::Duration kTickEvery = absl::Milliseconds(50);
// Events without a key stay with one partition that long, so that they make full blocks.
constexpr absl::Duration kStayFor = absl::Milliseconds(100);
// With nowhere better to go, another partition is tried after that.
constexpr absl::Duration kStayAtLeastFor = absl::Milliseconds(5);
constexpr absl::Duration kAskEveryMin = absl::Milliseconds(10);
constexpr int kAskDoublings = 3;  // up to 80 ms, well within the time of a takeover
constexpr absl::Duration kRoutesTimeout = absl::Milliseconds(500);
constexpr absl::Duration kMemoryRetryHint = absl::Milliseconds(50);

}  // namespace

Producer::Producer(Clock& clock, Executor& executor, Random random, IngestLink& link,
                   ProducerOptions options)
    : clock_(clock),
      executor_(executor),
      link_(link),
      random_(random),
      options_(std::move(options)) {
  const ProducerId& given = options_.batch.producer;
  context_ = std::make_unique<SenderContext>(
      SenderContext{.clock = clock_,
                    .executor = executor_,
                    .random = random_,
                    .link = link_,
                    .batch = options_.batch,
                    .counters = counters_,
                    .producer = given.empty() ? ProducerId(random_.HexId()) : given,
                    .drawn = given.empty(),
                    .codec = Codec::kZstd,
                    .refresh_routes = [this] { RefreshRoutes(); },
                    .settled =
                        [this](size_t bytes) {
                          memory_bytes_ -= bytes;
                          counters_.memory_bytes = memory_bytes_;
                          if (released_) released_(bytes);
                          CheckFlushed();
                        }});
  RefreshRoutes();
}

Producer::~Producer() = default;

Task Producer::Guarded(absl::AnyInvocable<void()> task) {
  return [alive = std::weak_ptr<bool>(alive_), task = std::move(task)]() mutable {
    if (!alive.expired()) task();
  };
}

void Producer::OnReleased(absl::AnyInvocable<void(size_t)> released) {
  released_ = std::move(released);
}

size_t Producer::MemoryBytes(const Event& event) {
  // The event, who waits for it, and its place in a vector; an id is drawn if there is none.
  size_t bytes = sizeof(Event) + 2 * sizeof(std::function<void()>) + 64;
  bytes += event.id.empty() ? 32 : event.id.size();
  bytes += event.key.size() + event.type.size() + event.payload.size();
  for (const auto& [name, value] : event.attributes) {
    bytes += 2 * sizeof(std::string) + name.size() + value.size();
  }
  return bytes;
}

void Producer::Append(Event event, std::function<void(const AppendResult&)> done) {
  AppendItem item{.event = std::move(event), .done = std::move(done)};
  if (absl::Status status = ValidateEvent(item.event); !status.ok()) {
    counters_.appended_events++;
    return Refuse(item, std::move(status));
  }
  Take(std::move(item), clock_.Now());
  PumpTouched();
}

void Producer::AppendValid(std::vector<AppendItem>& items) {
  const absl::Time now = clock_.Now();  // once, as a reading of it costs more than many an event
  for (AppendItem& item : items) Take(std::move(item), now);
  items.clear();
  PumpTouched();
}

void Producer::Refuse(AppendItem& item, absl::Status status) {
  counters_.refused_events++;
  item.done({.outcome = Outcome::kNotStored, .status = std::move(status)});
}

void Producer::Take(AppendItem item, absl::Time now) {
  counters_.appended_events++;
  if (closing_) return Refuse(item, absl::UnavailableError("this producer is closed"));
  const size_t bytes = MemoryBytes(item.event);
  // A single event always fits, or it could never be appended at all.
  if (memory_bytes_ > 0 && memory_bytes_ + bytes > options_.batch.memory_bytes_max) {
    return Refuse(item,
                  WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat(
                                     memory_bytes_, " bytes are not settled yet, ",
                                     "memory_bytes_max is ", options_.batch.memory_bytes_max)),
                                 kMemoryRetryHint));
  }
  memory_bytes_ += bytes;
  counters_.memory_bytes = memory_bytes_;
  if (item.event.id.empty()) item.event.id = ids_.Next();
  if (item.event.time == absl::InfinitePast()) item.event.time = now;
  ScheduleTick();
  if (senders_.empty()) {
    unrouted_.push_back(std::move(item));
    return RefreshRoutes();
  }
  const size_t index = Choose(item.event, now);
  senders_[index]->Add(std::move(item), now);
  if (touched_.empty() || touched_.back() != index) touched_.push_back(index);
}

void Producer::PumpTouched() {
  for (const size_t index : std::exchange(touched_, {})) senders_[index]->Pump();
}

size_t Producer::Choose(const Event& event, absl::Time now) {
  return event.key.empty() ? ChooseAny(now) : Crc32c(event.key) % senders_.size();
}

size_t Producer::ChooseAny(absl::Time now) {
  const PartitionSender& current = *senders_[chosen_];
  const absl::Duration stayed = now - chosen_at_;
  if (!current.full() && (stayed < kStayAtLeastFor || (stayed < kStayFor && current.well(now)))) {
    return chosen_;
  }
  chosen_at_ = now;
  const size_t count = senders_.size();
  size_t next = (chosen_ + 1) % count;
  // Best: well, and in the own zone; then well anywhere; then just the next.
  for (const bool own_zone : {true, false}) {
    for (size_t i = 1; i <= count; i++) {
      const PartitionSender& sender = *senders_[(chosen_ + i) % count];
      if (sender.full() || !sender.well(now)) continue;
      if (own_zone && sender.owner_zone() != options_.zone) continue;
      return chosen_ = (chosen_ + i) % count;
    }
  }
  return chosen_ = next;
}

void Producer::RefreshRoutes() {
  if (asking_) return;
  asking_ = true;
  const absl::Time now = clock_.Now();
  if (now - asked_at_ > absl::Seconds(1)) ask_failures_ = 0;  // another trouble than last time
  const absl::Duration gap = kAskEveryMin * (1 << std::min(ask_failures_, kAskDoublings));
  const absl::Time earliest = asked_at_ + random_.Between(gap / 2, gap * 3 / 2);
  if (earliest <= now) return AskForRoutes();
  executor_.PostAfter(earliest - now, Guarded([this] { AskForRoutes(); }));
}

void Producer::AskForRoutes() {
  asked_at_ = clock_.Now();
  const uint64_t number = ++ask_number_;
  link_.Describe(options_.stream, [this, number, alive = std::weak_ptr<bool>(alive_)](
                                      absl::StatusOr<StreamRoutes> routes) {
    if (!alive.expired() && asking_ && number == ask_number_) OnRoutes(std::move(routes));
  });
  executor_.PostAfter(kRoutesTimeout, Guarded([this, number] {
                        if (!asking_ || number != ask_number_) return;
                        OnRoutes(absl::DeadlineExceededError("no node answered"));
                      }));
}

void Producer::OnRoutes(absl::StatusOr<StreamRoutes> routes) {
  asking_ = false;
  ask_failures_++;
  if (!routes.ok() || routes->routes.empty()) {
    const bool is_final = absl::IsNotFound(routes.status()) || IsAccessRefused(routes.status());
    if (is_final && senders_.empty()) FailUnrouted(routes.status());
    if (!Settled()) RefreshRoutes();
    return;
  }
  context_->codec = routes->codec;
  if (senders_.empty()) {
    for (uint32_t i = 0; i < routes->routes.size(); i++) {
      senders_.push_back(std::make_unique<PartitionSender>(
          *context_, PartitionId{.stream = options_.stream, .index = i}));
    }
    chosen_ = random_.Below(senders_.size());
  }
  for (size_t i = 0; i < std::min(senders_.size(), routes->routes.size()); i++) {
    if (senders_[i]->SetRoute(routes->routes[i])) ask_failures_ = 0;
  }
  const absl::Time now = clock_.Now();
  for (AppendItem& item : std::exchange(unrouted_, {})) {
    const size_t index = Choose(item.event, now);
    senders_[index]->Add(std::move(item), now);
    touched_.push_back(index);
  }
  for (FlushWaiter& waiter : flushes_) {
    if (!waiter.targets.empty()) continue;
    for (const auto& sender : senders_) waiter.targets.push_back(sender->taken());
  }
  for (const auto& sender : senders_) sender->Pump();
  touched_.clear();
}

void Producer::ScheduleTick() {
  if (std::exchange(ticking_, true)) return;
  executor_.PostAfter(kTickEvery, Guarded([this] {
                        ticking_ = false;
                        Tick();
                      }));
}

void Producer::Tick() {
  for (const auto& sender : senders_) sender->Tick();
  if (senders_.empty() && !unrouted_.empty()) RefreshRoutes();
  if (!Settled()) ScheduleTick();
}

bool Producer::Settled() const {
  if (!unrouted_.empty()) return false;
  return std::all_of(senders_.begin(), senders_.end(),
                     [](const auto& sender) { return sender->settled() == sender->taken(); });
}

void Producer::Flush(absl::AnyInvocable<void()> done) {
  FlushWaiter waiter{.targets = {}, .done = std::move(done)};
  for (const auto& sender : senders_) waiter.targets.push_back(sender->taken());
  flushes_.push_back(std::move(waiter));
  for (const auto& sender : senders_) sender->Hurry();
  CheckFlushed();
}

void Producer::CheckFlushed() {
  const auto reached = [this](const FlushWaiter& waiter) {
    if (waiter.targets.empty()) return unrouted_.empty();
    for (size_t i = 0; i < waiter.targets.size(); i++) {
      if (senders_[i]->settled() < waiter.targets[i]) return false;
    }
    return true;
  };
  while (!flushes_.empty() && reached(flushes_.front())) {
    absl::AnyInvocable<void()> done = std::move(flushes_.front().done);
    flushes_.pop_front();
    done();
  }
  if (closing_ && close_done_ && Settled()) FinishClose(true);
}

void Producer::Close(absl::Duration limit, absl::AnyInvocable<void(bool)> done) {
  closing_ = true;
  close_done_ = std::move(done);
  for (const auto& sender : senders_) sender->Hurry();
  CheckFlushed();
  if (!close_done_) return;
  executor_.PostAfter(limit, Guarded([this] {
                        if (!close_done_) return;
                        absl::AnyInvocable<void(bool)> close_done = std::move(close_done_);
                        close_done_ = nullptr;
                        FailUnrouted(absl::UnavailableError(
                            "the producer was closed before any node told it the owners"));
                        for (const auto& sender : senders_) sender->Close();
                        close_done(false);
                      }));
}

void Producer::FailUnrouted(const absl::Status& status) {
  for (AppendItem& item : std::exchange(unrouted_, {})) {
    const size_t bytes = MemoryBytes(item.event);
    counters_.not_stored_events++;
    item.done({.outcome = Outcome::kNotStored, .status = status});
    context_->settled(bytes);
  }
}

void Producer::FinishClose(bool all_settled) {
  absl::AnyInvocable<void(bool)> done = std::move(close_done_);
  close_done_ = nullptr;
  done(all_settled);
}

}  // namespace forebay
