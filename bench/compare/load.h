// Runs publishers against a peer, one thread each, in a closed or an open loop.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "compare/events.h"
#include "compare/load_parts.h"
#include "compare/peer.h"

namespace forebay::compare {

struct LoadOptions {
  int publishers = 8;
  size_t in_flight = 256;  // of each publisher
  double rate = 0;         // events a second of all publishers, open loop; 0: closed loop
  absl::Duration warm_up = absl::Seconds(2);
  absl::Duration measured = absl::Seconds(10);
  // After the measured time: for the answers to what was due in it.
  absl::Duration settle_limit = absl::Seconds(10);
  // Times the peer's answer_limit: more where nobody is killed and a peer is only slow.
  double patience = 1;
  bool keep_ids = false;  // of acknowledged events
};

struct LoadResult {
  Tally tally{Span{}};
  uint64_t sent_again = 0;
  uint64_t refused = 0;
  uint64_t reconnects = 0;
  std::string last_error;
  std::vector<uint64_t> acknowledged_ids;
};

// `measuring` is called when the warm-up is over, and again when the measured time is. Blocks.
LoadResult RunLoad(const LoadOptions& options, Peer& peer, const EventPool& events,
                   const std::function<void(bool begins)>& measuring);

}  // namespace forebay::compare
