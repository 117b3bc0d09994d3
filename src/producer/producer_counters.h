// The counters behind ProducerStats.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/stage_counter.h"
#include "forebay/stats.h"

namespace forebay {

// Written by one thread at a time, read by any.
class ProducerCounters {
 public:
  using Counter = std::atomic<uint64_t>;

  Counter appended_events{0}, acknowledged_events{0}, not_stored_events{0}, unknown_events{0};
  Counter refused_events{0}, blocks_sent{0}, blocks_retried{0}, memory_bytes{0};
  StageCounter until_sealed, until_acknowledged;

  ProducerStats Read() const {
    return {.appended_events = appended_events,
            .acknowledged_events = acknowledged_events,
            .not_stored_events = not_stored_events,
            .unknown_events = unknown_events,
            .refused_events = refused_events,
            .blocks_sent = blocks_sent,
            .blocks_retried = blocks_retried,
            .memory_bytes = memory_bytes,
            .until_sealed = until_sealed.Read(),
            .until_acknowledged = until_acknowledged.Read()};
  }
};

}  // namespace forebay
