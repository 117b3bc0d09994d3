// Client: the same append surface as Buffer, against remote nodes.
#pragma once

#include <functional>
#include <memory>
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

// Thread-safe. One stream per client.
class Client {
 public:
  using Done = std::function<void(const AppendResult&)>;
  using ManyDone = std::function<void(absl::Span<const AppendResult>)>;

  // Asks the nodes for the stream's partitions. NOT_FOUND: no such stream. UNAVAILABLE: no node
  // answered within 5 s.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(ClientOptions options);
  // Closes with a deadline of 10 s if Close was not called.
  virtual ~Client() = default;

  virtual void Append(Event event, Done done) = 0;
  virtual void Append(std::vector<Event> events, ManyDone done) = 0;
  // The blocking form.
  virtual AppendResult Append(Event event) = 0;

  // Sends what lingers and waits until everything appended before is settled. DEADLINE_EXCEEDED.
  virtual absl::Status Flush(absl::Duration deadline) = 0;
  // Flushes and stops. Appends after it are "not stored".
  virtual absl::Status Close(absl::Duration deadline) = 0;

  virtual ProducerStats stats() const = 0;
};

}  // namespace forebay
