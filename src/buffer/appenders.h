// Appenders: one Appender for each stream that is appended to.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "producer/appender.h"
#include "runtime/mutex.h"

namespace forebay {

// Thread-safe. All share the executor, which must outlive this object, and the link, which is not
// used after Close.
class Appenders {
 public:
  // So many streams at once; for more Of is RESOURCE_EXHAUSTED.
  static constexpr size_t kStreamsMax = 65536;

  Appenders(Clock& clock, Executor& executor, IngestLink& link, ZoneId zone, BatchOptions batch);

  // Made at the first call for a stream; lives as long as this object. UNAVAILABLE after Close.
  // Not from the executor.
  absl::StatusOr<Appender*> Of(const StreamId& stream);

  // For all, within the deadline together. The first error.
  absl::Status Flush(absl::Duration deadline);
  absl::Status Close(absl::Duration deadline);
  ProducerStats stats() const;

 private:
  std::vector<Appender*> All() const;

  Clock& clock_;
  Executor& executor_;
  IngestLink& link_;
  const ZoneId zone_;
  const BatchOptions batch_;

  mutable Mutex mutex_;
  std::map<StreamId, std::unique_ptr<Appender>> by_stream_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace forebay
