// The three outcomes of an append, and what each status code tells the caller to do.
//
//   INVALID_ARGUMENT: the event or request can never be accepted; correct it.
//   NOT_FOUND: no such stream or partition; create it or correct the name.
//   RESOURCE_EXHAUSTED: a buffer or disk limit is reached now; wait RetryAfter, send again.
//   UNAVAILABLE: no owner, too few zones, or the node is stopping; wait RetryAfter, send again.
//   FAILED_PRECONDITION: this producer is fenced, has a gap in its sequence, or used a sequence
//     for other events. The message says what is stored. Start a new one.
//   DEADLINE_EXCEEDED: outcome unknown; send again with the same producer and sequence.
//   ABORTED: outcome unknown, as the segment it was written in is gone; send again likewise.
//   UNAUTHENTICATED: nobody knows the caller; show a certificate or a token.
//   PERMISSION_DENIED: the nodes' access rules do not let the caller do this.
//   DATA_LOSS: a stored byte is damaged and no healthy copy answered; see docs/OPERATIONS.md.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "forebay/ids.h"

namespace forebay {

enum class Outcome {
  kAcknowledged,  // durable on an ack quorum; will be delivered exactly once
  kNotStored,     // will never be delivered, unless appended again
  kUnknown,  // may or may not be stored; repeat with the same producer and sequence to settle it
};

struct AppendResult {
  Outcome outcome = Outcome::kUnknown;
  absl::Status status;  // OK exactly when acknowledged
  // When acknowledged: where it is. A repeat gets the offset of the original.
  PartitionId partition = {};
  Offset offset = {};
  // False: it is a repeat of something that was stored long ago, and its offset is no longer known.
  bool offset_known = true;
  // How many zones hold it at the acknowledgement (fewer than asked only with accept_degraded).
  int zones = 0;
};

// The wait that a retryable status asks for, if it carries one.
std::optional<absl::Duration> RetryAfter(const absl::Status& status);
// The same status, asking the caller to wait that long.
absl::Status WithRetryAfter(absl::Status status, absl::Duration wait);

}  // namespace forebay
