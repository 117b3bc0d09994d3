// What a drill comes to: what was sent and acknowledged against what the sink holds, event by
// event. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"

namespace forebay {

struct DrillAck {
  uint32_t partition = 0;
  uint64_t offset = 0;
  absl::Time at;
};

struct DrillEvent {
  std::string id;  // unique in the drill
  absl::Time sent;
  std::optional<DrillAck> acknowledged;
};

// The events of one producer, in the order it sent them.
using DrillLog = std::vector<DrillEvent>;

// A row of the sink. The rows of a partition come in the order in which the sink took them.
struct SinkRow {
  uint32_t partition = 0;
  uint64_t offset = 0;
  std::string id;
};

struct DrillFault {
  absl::Time began;
  absl::Time complete;            // from now on the zone can acknowledge nothing new
  std::set<uint32_t> partitions;  // that the broken zone owned
};

struct DrillVerdict {
  uint64_t sent = 0;
  uint64_t acknowledged = 0;
  uint64_t delivered = 0;   // sent events that the sink holds
  uint64_t lost = 0;        // acknowledged and not in the sink
  uint64_t duplicated = 0;  // rows of an event beyond its first
  // Rows that break the order of offsets in their partition or of their producer in it, and
  // acknowledged events that stand elsewhere than the acknowledgement said.
  uint64_t out_of_order = 0;
  uint64_t never_sent = 0;  // rows that no producer sent
  // The longest time a producer went without an acknowledgement, from its first event to its last
  // acknowledgement.
  double ack_gap_ms_max = 0;
  // From the fault to the first acknowledgement, on a partition that the broken zone owned, of an
  // event sent after the fault. Nothing: there was none.
  std::optional<double> takeover_ms;
  // The same until the last of these partitions acknowledged again. Nothing: one never did.
  std::optional<double> takeover_all_ms;
  std::vector<std::string> examples;  // of what is wrong, a few of each kind

  bool ExactlyOnce() const {
    return lost == 0 && duplicated == 0 && out_of_order == 0 && never_sent == 0;
  }
};

// The longest times without an acknowledgement that overlap a span of time.
struct AckGaps {
  double producer_ms = 0;   // of one producer
  double partition_ms = 0;  // of one partition, all producers together
};
std::vector<AckGaps> GapsDuring(absl::Span<const DrillLog> producers,
                                absl::Span<const std::pair<absl::Time, absl::Time>> spans);

// What was acknowledged in a span of time in which a fault began.
struct AckSpan {
  absl::Time from, to;
  absl::Time began, in_effect;  // the fault
};
struct AcksDuring {
  uint64_t events = 0;
  // From the beginning of the fault to the first acknowledgement of an event that was sent when it
  // was in effect. Nothing: there was none.
  std::optional<double> first_ms;
};
std::vector<AcksDuring> AcknowledgedDuring(absl::Span<const DrillLog> producers,
                                           absl::Span<const AckSpan> spans);

// Acknowledgements in each second from `start` to the last one.
std::vector<double> AcknowledgedEachSecond(absl::Span<const DrillLog> producers, absl::Time start);

DrillVerdict Judge(absl::Span<const DrillLog> producers, absl::Span<const SinkRow> rows,
                   const std::optional<DrillFault>& fault);

}  // namespace forebay
