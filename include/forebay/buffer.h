// Buffer: a Forebay node linked into this process. It takes events, keeps them durable together
// with its peers in other zones, and drains them into sinks.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "forebay/errors.h"
#include "forebay/event.h"
#include "forebay/options.h"
#include "forebay/stats.h"

namespace forebay {

// Thread-safe.
class Buffer {
 public:
  // Called once per append, on a thread of the library; must not block. For a span of events, the
  // results are in the events' order.
  using Done = std::function<void(const AppendResult&)>;
  using ManyDone = std::function<void(absl::Span<const AppendResult>)>;

  // Opens the store, registers the node and starts to serve. INVALID_ARGUMENT names the setting;
  // UNAVAILABLE: the metadata store does not answer; ALREADY_EXISTS: another process holds the
  // data directory.
  static absl::StatusOr<std::unique_ptr<Buffer>> Open(BufferOptions options);
  // Closes with a deadline of 10 s if Close was not called.
  virtual ~Buffer() = default;

  // Takes an event. At BatchOptions::memory_bytes_max it waits for room, or refuses.
  virtual void Append(const StreamId& stream, Event event, Done done) = 0;
  virtual void Append(const StreamId& stream, std::vector<Event> events, ManyDone done) = 0;
  // The blocking form.
  virtual AppendResult Append(const StreamId& stream, Event event) = 0;

  // Sends what lingers and waits until everything appended before is settled. DEADLINE_EXCEEDED.
  virtual absl::Status Flush(absl::Duration deadline) = 0;
  // Flushes, hands its partitions over, stops. Appends after it are "not stored".
  virtual absl::Status Close(absl::Duration deadline) = 0;

  virtual ProducerStats stats() const = 0;
  // "host:port" that peers and clients dial.
  virtual std::string address() const = 0;
};

}  // namespace forebay
