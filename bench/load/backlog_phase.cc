#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "cli/numbers.h"
#include "load/bench_phases.h"

namespace forebay {
namespace {

constexpr absl::Duration kStatusLimit = absl::Seconds(2);
constexpr absl::Duration kLookEvery = absl::Milliseconds(250);
constexpr absl::Duration kSinkLimit = absl::Seconds(30);
// Without an acknowledgement, or without a delivery: then it never ends.
constexpr absl::Duration kPatience = absl::Seconds(30);

}  // namespace

absl::StatusOr<BacklogPhases::Waiting> BacklogPhases::Look() {
  const absl::StatusOr<ClusterStatus> status = bed_.remote().Status(kStatusLimit);
  if (!status.ok()) return status.status();
  Waiting waiting;
  for (const SinkState& sink : status->sinks) {
    waiting.delivered += sink.cursor.value();
    waiting.lag += sink.lag_events;
    waiting.partitions += sink.state == "opening" ? 0 : 1;
  }
  return waiting;
}

// Only a file that is there can be locked.
absl::Status BacklogPhases::HoldSinkUp() {
  const absl::Time until = bed_.clock().Now() + kSinkLimit;
  while (true) {
    const absl::StatusOr<Waiting> now = Look();
    if (now.ok() && now->partitions >= bed_.stream().partitions) break;
    if (bed_.clock().Now() > until) {
      return absl::UnavailableError(absl::StrCat("the nodes did not open their sink ",
                                                 bed_.sink_file(), " within ",
                                                 absl::FormatDuration(kSinkLimit)));
    }
    if (bed_.signal().WaitFor(kLookEvery)) {
      return absl::CancelledError("the bench was stopped by a signal");
    }
  }
  breaker_ = MakeSqliteBreaker(bed_.sink_file());
  return breaker_->Break();
}

absl::StatusOr<BacklogResult> BacklogPhases::Fill() {
  FOREBAY_RETURN_IF_ERROR(HoldSinkUp());
  MemoryWatch memory(bed_);
  auto load = bed_.Connect(0);
  if (!load.ok()) return load.status();
  (*load)->Start();
  Meter meter(bed_, **load, 0);
  const double bytes_mean = bed_.source().bytes_mean();
  const auto asked = static_cast<double>(bed_.options().backlog_bytes);
  const std::string doing = absl::StrFormat("filling up to %.0f MB", asked / 1e6);
  uint64_t acknowledged = 0;
  absl::Time grew = bed_.clock().Now(), looked = grew;
  const auto more = [&]() -> absl::StatusOr<bool> {
    const absl::Time now = bed_.clock().Now();
    const uint64_t before = std::exchange(acknowledged, (*load)->stats().acknowledged_events);
    if (acknowledged > before) grew = now;
    if (now - grew > kPatience) {
      return absl::UnavailableError(
          absl::StrCat("no event was acknowledged for ", absl::FormatDuration(kPatience), " after ",
                       Grouped(acknowledged), "; is the disk full? Ask for less with --backlog"));
    }
    if (now - looked > kLookEvery) {
      looked = now;
      memory.Look();
    }
    return static_cast<double>(acknowledged) * bytes_mean < asked;
  };
  FOREBAY_RETURN_IF_ERROR(bed_.SpendWhile(more, **load, doing));
  BacklogResult out;
  out.fill = meter.End();
  (*load)->Stop();
  const BenchLoadResult rest = (*load)->Take();
  out.fill.load.failed = rest.failed;
  out.fill.load.first_failure = rest.first_failure;
  memory.Look();
  out.memory = memory.nodes();
  out.disk_mib = memory.disk_mib();
  const absl::StatusOr<Waiting> waiting = Look();
  if (!waiting.ok()) return waiting.status();
  out.events = waiting->lag;
  return out;
}

absl::StatusOr<CatchUpResult> BacklogPhases::CatchUp() {
  const double rate = bed_.options().rate;
  MemoryWatch memory(bed_);
  auto load = bed_.Connect(rate);
  if (!load.ok()) return load.status();
  (*load)->Start();
  FOREBAY_RETURN_IF_ERROR(bed_.Spend(bed_.options().warm_up, **load, "live traffic, warming up"));
  Meter before(bed_, **load, rate);
  FOREBAY_RETURN_IF_ERROR(
      bed_.Spend(bed_.options().measured, **load, "live traffic, the sink still takes nothing"));
  CatchUpResult out;
  out.sink_beside_nodes = bed_.options().sink == "sqlite";
  out.before = before.End();
  const absl::StatusOr<Waiting> start = Look();
  if (!start.ok()) return start.status();
  out.backlog_events = start->lag;
  Meter during(bed_, **load, rate);
  FOREBAY_RETURN_IF_ERROR(breaker_->Heal());
  FOREBAY_RETURN_IF_ERROR(DrainWhile(**load, memory, *start, out));
  out.during = during.End();
  (*load)->Stop();
  const BenchLoadResult rest = (*load)->Take();
  out.during.load.failed = rest.failed;
  out.during.load.first_failure = rest.first_failure;
  breaker_.reset();
  out.memory = memory.nodes();
  return out;
}

// Until less than what comes in a second waits, or the sink gets no further.
absl::Status BacklogPhases::DrainWhile(BenchLoad& load, MemoryWatch& memory, const Waiting& start,
                                       CatchUpResult& out) {
  Waiting last = start;
  absl::Time looked = bed_.clock().Now(), moved = looked;
  uint64_t least = start.lag;
  const auto more = [&]() -> absl::StatusOr<bool> {
    const absl::Time now = bed_.clock().Now();
    if (now - looked < kLookEvery) return true;
    looked = now;
    memory.Look();
    const absl::StatusOr<Waiting> waiting = Look();
    if (!waiting.ok() || waiting->partitions < bed_.stream().partitions) return true;
    last = *waiting;
    if (last.lag < least) {
      least = last.lag;
      moved = now;
    }
    out.caught_up = static_cast<double>(last.lag) < std::max(bed_.options().rate, 1.0);
    return !out.caught_up && now - moved < kPatience;
  };
  FOREBAY_RETURN_IF_ERROR(bed_.SpendWhile(more, load, "the sink catches up"));
  out.delivered_events = last.delivered - start.delivered;
  return absl::OkStatus();
}

}  // namespace forebay
