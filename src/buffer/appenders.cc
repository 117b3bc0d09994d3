#include "buffer/appenders.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace forebay {

Appenders::Appenders(Clock& clock, Executor& executor, IngestLink& link, ZoneId zone,
                     BatchOptions batch)
    : clock_(clock),
      executor_(executor),
      link_(link),
      zone_(std::move(zone)),
      batch_(std::move(batch)) {}

absl::StatusOr<Appender*> Appenders::Of(const StreamId& stream) {
  // Making one waits for the executor, which never waits for this lock; holding it makes sure that
  // none is made after Close.
  MutexLock lock(mutex_);
  if (closed_) return absl::UnavailableError("this node is closed");
  const auto found = by_stream_.find(stream);
  if (found == by_stream_.end() && by_stream_.size() >= kStreamsMax) {
    return absl::ResourceExhaustedError(absl::StrCat("this process appends to ", by_stream_.size(),
                                                     " streams already, which is the limit"));
  }
  auto& appender = by_stream_[stream];
  if (appender == nullptr) {
    appender = std::make_unique<Appender>(
        clock_, executor_, Random::FromSystem(), link_,
        ProducerOptions{.stream = stream, .zone = zone_, .batch = batch_});
  }
  return appender.get();
}

std::vector<Appender*> Appenders::All() const {
  MutexLock lock(mutex_);
  std::vector<Appender*> all;
  for (const auto& [stream, appender] : by_stream_) all.push_back(appender.get());
  return all;
}

absl::Status Appenders::Flush(absl::Duration deadline) {
  const absl::Time end = clock_.Now() + deadline;
  absl::Status status;
  for (Appender* appender : All()) {
    status.Update(appender->Flush(std::max(end - clock_.Now(), absl::ZeroDuration())));
  }
  return status;
}

absl::Status Appenders::Close(absl::Duration deadline) {
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  const absl::Time end = clock_.Now() + deadline;
  absl::Status status;
  for (Appender* appender : All()) {
    status.Update(appender->Close(std::max(end - clock_.Now(), absl::ZeroDuration())));
  }
  return status;
}

ProducerStats Appenders::stats() const {
  ProducerStats sum;
  for (const Appender* appender : All()) {
    const ProducerStats one = appender->stats();
    sum.appended_events += one.appended_events;
    sum.acknowledged_events += one.acknowledged_events;
    sum.not_stored_events += one.not_stored_events;
    sum.unknown_events += one.unknown_events;
    sum.refused_events += one.refused_events;
    sum.blocks_sent += one.blocks_sent;
    sum.blocks_retried += one.blocks_retried;
    sum.memory_bytes += one.memory_bytes;
    sum.until_sealed += one.until_sealed;
    sum.until_acknowledged += one.until_acknowledged;
  }
  return sum;
}

}  // namespace forebay
