// What a downstream must do to be handed events exactly once.
//
// Forebay calls Open once per partition whenever a new epoch's owner starts to drain it, then
// Deliver with consecutive batches. A sink that holds progress stores (epoch, next offset) with the
// events' effect, in one atomic step. See docs/SINKS.md for the contract of each shipped sink.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "forebay/event.h"
#include "forebay/ids.h"

namespace forebay {

// A run of consecutive events of one partition. Its identity (sink, partition, first, last) is the
// same on every retry.
struct SinkBatch {
  SinkId sink;
  PartitionId partition;
  Epoch epoch;
  Offset first;         // offset of events.front()
  Offset last;          // offset of events.back(), inclusive
  uint32_t digest = 0;  // CRC32C over the events' encodings, in order
  absl::Span<const Event> events;
};

// How far a sink's own durable progress reaches.
struct SinkProgress {
  // The first offset it does not hold. nullopt: this sink holds no progress (at least once).
  std::optional<Offset> next;
};

// Calls for one partition come one after the other; calls for different partitions may be
// concurrent. Calls may block for as long as the downstream needs.
//
// Status codes of Open and Deliver:
//   UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, any other: retried for ever with backoff;
//     the caller calls Open again first, so an ambiguous commit is settled by the sink's progress.
//   FAILED_PRECONDITION: a higher epoch has been here; the caller steps down.
//   OUT_OF_RANGE: first is not the sink's next offset; the caller opens again and resumes there.
//   INVALID_ARGUMENT: an event in the batch is poison. The caller bisects until one event is left,
//     and puts that one in the dead-letter stream with this message.
class Sink {
 public:
  virtual ~Sink() = default;

  // Fences every lower epoch, then reads progress. In that order:
  // docs/design/sinks.md#common-rules.
  virtual absl::StatusOr<SinkProgress> Open(const PartitionId& partition, Epoch epoch) = 0;

  // OK: the batch has taken effect, durably, once.
  virtual absl::Status Deliver(const SinkBatch& batch) = 0;

  // Moves the progress from `first` to `last + 1` without delivering, in the same way as Deliver
  // does: past a poison event; or, with no events, past a block that nobody can decode and an
  // operator has set aside.
  virtual absl::Status Skip(const SinkBatch& batch) = 0;

  // True when Open returns progress: exactly once. False: at least once.
  virtual bool HoldsProgress() const = 0;
};

// The shipped sinks. Thread-safe. `name` is the key of their progress and must be the name of the
// SinkBinding: under another name a sink starts again at offset 0. Streams may share a sink.
// INVALID_ARGUMENT names the option that can never work; a downstream that is only away is not an
// error here, because Open and Deliver are repeated anyway.

// Rows in an SQLite file, with the progress beside them. Several processes may share the file.
struct SqliteSinkOptions {
  SinkId name = SinkId("sqlite");
  std::string path;                                // created when absent; its folder is not
  std::string table = "events";                    // created when absent; [A-Za-z_][A-Za-z0-9_]*
  absl::Duration busy_timeout = absl::Seconds(5);  // how long to wait for another process
};
absl::StatusOr<std::shared_ptr<Sink>> OpenSqliteSink(SqliteSinkOptions options);

// Rows in PostgreSQL (9.5 or newer), with the progress beside them.
struct PostgresSinkOptions {
  SinkId name = SinkId("postgres");
  std::string url;               // "postgres://user@host/database" or a libpq "key=value" string
  std::string table = "events";  // created when absent; "table" or "schema.table"
  int connections_max = 4;       // 1 to 100; of this sink in this process
  absl::Duration timeout = absl::Seconds(10);  // of one statement, on either side; 1 s or more
};
absl::StatusOr<std::shared_ptr<Sink>> OpenPostgresSink(PostgresSinkOptions options);

// NDJSON files, <directory>/<stream>/<partition>/<first offset, 20 digits>.ndjson, one a batch.
struct FilesSinkOptions {
  SinkId name = SinkId("files");
  std::string directory;  // created when absent; on one file system with link(2) and fsync(2)
};
absl::StatusOr<std::shared_ptr<Sink>> OpenFilesSink(FilesSinkOptions options);

}  // namespace forebay
