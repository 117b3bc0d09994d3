#include "compare/load_parts.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "absl/strings/numbers.h"
#include "compare/events.h"

namespace forebay::compare {

Instant Now() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

HostPort Split(const std::string& address) {
  HostPort out;
  const size_t colon = address.rfind(':');
  out.host = address.substr(0, colon);
  if (colon != std::string::npos && !absl::SimpleAtoi(address.substr(colon + 1), &out.port)) {
    out.port = 0;
  }
  return out;
}

Schedule::Schedule(Rate rate, int publisher, Instant start)
    : interval_(1e9 * rate.publishers / rate.per_second),
      first_(static_cast<double>(start) + interval_ * publisher / rate.publishers) {}

Instant Schedule::DueAt(uint64_t number) const {
  return static_cast<Instant>(first_ + interval_ * static_cast<double>(number));
}

Ticket Window::Take(Instant due, Instant sent) {
  slots_.push_back({.due = due, .sent = sent, .settled = false});
  return first_ + slots_.size() - 1;
}

bool Window::IsUnsettled(Ticket ticket) const {
  return ticket >= first_ && ticket < next() && !slots_[ticket - first_].settled;
}

std::optional<Instant> Window::Settle(Ticket ticket) {
  if (!IsUnsettled(ticket)) return std::nullopt;
  Slot& slot = slots_[ticket - first_];
  const Instant due = slot.due;
  slot.settled = true;
  while (!slots_.empty() && slots_.front().settled) {
    slots_.pop_front();
    ++first_;
  }
  return due;
}

std::vector<Ticket> Window::Unsettled() const {
  std::vector<Ticket> out;
  for (Ticket ticket = first_; ticket < next(); ++ticket) {
    if (IsUnsettled(ticket)) out.push_back(ticket);
  }
  return out;
}

std::optional<Instant> Window::OldestSent() const {
  if (slots_.empty()) return std::nullopt;
  return slots_.front().sent;  // the first one is never settled
}

void Window::SentAgain(Ticket ticket, Instant sent) { slots_[ticket - first_].sent = sent; }

void Tally::Acknowledged(Instant due, Instant at) {
  ++acknowledged_ever_;
  if (span_.Has(due)) latency_.Add(absl::Nanoseconds(at - due));
  if (!span_.Has(at)) return;
  ++acknowledged_;
  gap_ = std::max(gap_, at - last_);
  last_ = std::max(last_, at);
}

void Tally::Unanswered(Instant due, Instant now) {
  if (!span_.Has(due)) return;
  ++unanswered_;
  latency_.Add(absl::Nanoseconds(now - due));
}

absl::Duration Tally::longest_gap() const {
  return absl::Nanoseconds(std::max(gap_, span_.end - last_));
}

void Tally::Add(const Tally& other) {
  acknowledged_ += other.acknowledged_;
  acknowledged_ever_ += other.acknowledged_ever_;
  unanswered_ += other.unanswered_;
  latency_.Add(other.latency_);
  gap_ = absl::ToInt64Nanoseconds(std::max(longest_gap(), other.longest_gap()));
  last_ = span_.end;
}

Verdict::Verdict(std::vector<uint64_t> acknowledged) : acknowledged_(std::move(acknowledged)) {
  std::sort(acknowledged_.begin(), acknowledged_.end());
}

void Verdict::Read(std::string_view event) {
  const std::optional<EventId> id = IdOf(event);
  if (id) {
    read_.push_back(id->value());
  } else {
    ++foreign_;
  }
}

Verdict::Counts Verdict::counts() const {
  const std::set<uint64_t> distinct(read_.begin(), read_.end());
  Counts out{.acknowledged = acknowledged_.size(), .read = read_.size(), .foreign = foreign_};
  out.duplicates = read_.size() - distinct.size();
  for (const uint64_t id : acknowledged_) out.lost += distinct.contains(id) ? 0 : 1;
  return out;
}

}  // namespace forebay::compare
