#include "buffer/sink_states.h"

#include <algorithm>

namespace forebay {

std::vector<SinkState> SinkStatesOf(const std::vector<DrainStatus>& statuses,
                                    const std::vector<PartitionStatus>& partitions) {
  std::vector<SinkState> states;
  states.reserve(statuses.size());
  for (const DrainStatus& status : statuses) {
    SinkState state;
    state.sink = status.sink;
    state.partition = status.partition;
    state.cursor = status.cursor.value_or(Offset());
    state.lag_events = status.lag_events;
    for (const PartitionStatus& partition : partitions) {
      if (status.cursor.has_value() || partition.partition != status.partition) continue;
      state.cursor = partition.trim_floor;
      state.lag_events =
          status.committed.value() - std::min(status.committed, partition.trim_floor).value();
    }
    state.oldest_undelivered = status.oldest_undelivered_age;
    state.state = NameOf(status.state);
    state.needs_operator =
        status.state == DrainState::kMissingBlocks || status.state == DrainState::kUndecodable;
    state.last_error = status.last_error;
    state.delivered_events = status.delivered_events;
    state.dead_letter_events = status.dead_lettered_events;
    state.set_aside_events = status.set_aside_events;
    states.push_back(std::move(state));
  }
  return states;
}

}  // namespace forebay
