#include "compare/load.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"

namespace forebay::compare {
namespace {

constexpr absl::Duration kPollLimit = absl::Milliseconds(20);
constexpr absl::Duration kBetweenConnects = absl::Milliseconds(20);
// Refused events are sent again after this; with nothing but refusals for so long, over a new
// connection (a channel of RabbitMQ that was opened during an election can refuse for ever).
constexpr int64_t kRefusedPause = 50'000'000;
constexpr int64_t kRefusedLimit = 1'000'000'000;
constexpr double kPatienceMax = 8;

void SleepUntil(Instant at) {
  std::this_thread::sleep_for(std::chrono::nanoseconds(std::max<int64_t>(at - Now(), 0)));
}

// One publisher, on one thread.
class Worker {
 public:
  Worker(const LoadOptions& options, Peer& peer, const EventPool& events, uint32_t number)
      : options_(options),
        peer_(peer),
        events_(events),
        number_(number),
        window_(options.in_flight),
        patience_(options.patience) {}

  void Run(Span span) {
    span_ = span;
    result_.tally = Tally(span);
    const Instant start = span.begin - absl::ToInt64Nanoseconds(options_.warm_up);
    schedule_.emplace(Schedule::Rate{std::max(options_.rate, 1e-9), options_.publishers},
                      static_cast<int>(number_), start);
    const Instant deadline = span.end + absl::ToInt64Nanoseconds(options_.settle_limit);
    last_progress_ = start;
    while (Now() < deadline && !Done()) {
      const absl::Status status = Step();
      if (status.ok()) continue;
      result_.last_error = status.ToString();
      connection_.reset();
      refused_.clear();
      std::this_thread::sleep_for(absl::ToChronoNanoseconds(kBetweenConnects));
    }
    CountUnanswered();
  }

  LoadResult result_;

 private:
  bool open_loop() const { return options_.rate > 0; }

  // An event is due, and before the end.
  bool IsDue(Instant now) const {
    if (!open_loop()) return now < span_.end;
    const Instant due = schedule_->DueAt(window_.next());
    return due <= now && due < span_.end;
  }

  bool Done() const {
    if (Now() < span_.end) return false;
    return window_.empty() && !IsDue(Now());
  }

  absl::Status Step() {
    if (!connection_) {
      if (const absl::Status status = Connect(); !status.ok()) return status;
    }
    if (const absl::Status status = SendWhatIsDue(); !status.ok()) return status;
    if (const absl::Status status = SendRefusedAgain(); !status.ok()) return status;
    answers_.clear();
    if (const absl::Status status = connection_->Poll(PollLimit(), answers_); !status.ok()) {
      return status;
    }
    for (const Answer& answer : answers_) Take(answer);
    return CheckTimes();
  }

  absl::Status Connect() {
    auto connection = peer_.Connect(number_, attempts_++);
    if (!connection.ok()) return connection.status();
    connection_ = *std::move(connection);
    if (attempts_ > 1) ++result_.reconnects;
    last_progress_ = Now();
    return SendAgain(window_.Unsettled());
  }

  absl::Status SendWhatIsDue() {
    const Instant now = Now();
    // Refilled by the eighth: one write for many events is what a real publisher does under load.
    const size_t least = open_loop() ? 1 : std::max<size_t>(options_.in_flight / 8, 1);
    if (window_.room() < least) return absl::OkStatus();
    bool any = false;
    while (window_.room() > 0 && IsDue(now)) {
      const Instant due = open_loop() ? schedule_->DueAt(window_.next()) : Now();
      const absl::Status status = Send(window_.Take(due, now));
      if (!status.ok()) return status;
      any = true;
    }
    return any ? connection_->Flush() : absl::OkStatus();
  }

  absl::Status Send(Ticket ticket) {
    events_.Write({.publisher = number_, .number = ticket}, buffer_);
    return connection_->Send(ticket, buffer_);
  }

  absl::Status SendAgain(const std::vector<Ticket>& tickets) {
    const Instant now = Now();
    for (const Ticket ticket : tickets) {
      if (!window_.IsUnsettled(ticket)) continue;
      window_.SentAgain(ticket, now);
      ++result_.sent_again;
      if (const absl::Status status = Send(ticket); !status.ok()) return status;
    }
    return tickets.empty() ? absl::OkStatus() : connection_->Flush();
  }

  absl::Status SendRefusedAgain() {
    if (refused_.empty() || Now() < refused_at_ + kRefusedPause) return absl::OkStatus();
    std::vector<Ticket> tickets;
    tickets.swap(refused_);
    std::sort(tickets.begin(), tickets.end());
    return SendAgain(tickets);
  }

  // Until the next event is due.
  absl::Duration PollLimit() const {
    if (!open_loop() || window_.room() == 0) return kPollLimit;
    const Instant due = schedule_->DueAt(window_.next());
    if (due >= span_.end) return kPollLimit;
    return std::clamp(absl::Nanoseconds(due - Now()), absl::ZeroDuration(), kPollLimit);
  }

  void Take(const Answer& answer) {
    if (!answer.stored) {
      ++result_.refused;
      if (refused_.empty()) refused_at_ = answer.at;
      refused_.push_back(answer.ticket);
      return;
    }
    const std::optional<Instant> due = window_.Settle(answer.ticket);
    if (!due) return;
    result_.tally.Acknowledged(*due, answer.at);
    last_progress_ = answer.at;
    if (options_.keep_ids) {
      result_.acknowledged_ids.push_back(
          EventId{.publisher = number_, .number = answer.ticket}.value());
    }
  }

  absl::Status CheckTimes() {
    const Instant now = Now();
    if (!refused_.empty() && now - last_progress_ > kRefusedLimit) {
      return absl::UnavailableError("nothing but refusals");
    }
    const std::optional<Instant> sent = window_.OldestSent();
    if (sent && absl::Nanoseconds(now - *sent) > peer_.answer_limit() * patience_) {
      // Longer from now on: a peer that is only slow would drown in what is sent again.
      patience_ = std::min(patience_ * 2, kPatienceMax);
      return absl::DeadlineExceededError("no answer in time");
    }
    return absl::OkStatus();
  }

  void CountUnanswered() {
    const Instant now = Now();
    for (const Ticket ticket : window_.Unsettled()) {
      result_.tally.Unanswered(*window_.Settle(ticket), now);
    }
    if (!open_loop()) return;
    for (Ticket ticket = window_.next(); schedule_->DueAt(ticket) < span_.end; ++ticket) {
      result_.tally.Unanswered(schedule_->DueAt(ticket), now);
    }
  }

  const LoadOptions& options_;
  Peer& peer_;
  const EventPool& events_;
  const uint32_t number_;
  Span span_;
  std::optional<Schedule> schedule_;
  Window window_;
  std::unique_ptr<Publisher> connection_;
  size_t attempts_ = 0;
  double patience_;
  std::vector<Answer> answers_;
  std::vector<Ticket> refused_;
  Instant refused_at_ = 0;
  Instant last_progress_ = 0;
  std::string buffer_;
};

}  // namespace

LoadResult RunLoad(const LoadOptions& options, Peer& peer, const EventPool& events,
                   const std::function<void(bool begins)>& measuring) {
  Span span;
  span.begin = Now() + absl::ToInt64Nanoseconds(options.warm_up);
  span.end = span.begin + absl::ToInt64Nanoseconds(options.measured);
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<std::thread> threads;
  for (int i = 0; i < options.publishers; ++i) {
    workers.push_back(std::make_unique<Worker>(options, peer, events, static_cast<uint32_t>(i)));
    threads.emplace_back([worker = workers.back().get(), span] { worker->Run(span); });
  }
  SleepUntil(span.begin);
  measuring(true);
  SleepUntil(span.end);
  measuring(false);
  for (std::thread& thread : threads) thread.join();
  LoadResult sum;
  sum.tally = Tally(span);
  // Without a publisher of its own, the sum would count as one long gap.
  bool first = true;
  for (const auto& worker : workers) {
    const LoadResult& result = worker->result_;
    if (first) sum.tally = result.tally;
    if (!first) sum.tally.Add(result.tally);
    first = false;
    sum.sent_again += result.sent_again;
    sum.refused += result.refused;
    sum.reconnects += result.reconnects;
    if (!result.last_error.empty()) sum.last_error = result.last_error;
    sum.acknowledged_ids.insert(sum.acknowledged_ids.end(), result.acknowledged_ids.begin(),
                                result.acknowledged_ids.end());
  }
  return sum;
}

}  // namespace forebay::compare
