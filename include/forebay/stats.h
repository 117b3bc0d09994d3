// Numbers about a running Buffer or Client.
#pragma once

#include <cstdint>

namespace forebay {

// Counters since Open, and levels now.
struct ProducerStats {
  uint64_t appended_events = 0;  // given to Append
  uint64_t acknowledged_events = 0;
  uint64_t not_stored_events = 0;  // reported as not stored
  uint64_t unknown_events = 0;     // reported as unknown
  uint64_t refused_events = 0;     // over a limit or out of memory; not stored
  uint64_t blocks_sent = 0;
  uint64_t blocks_retried = 0;
  uint64_t memory_bytes = 0;  // held by events that are not settled
};

}  // namespace forebay
