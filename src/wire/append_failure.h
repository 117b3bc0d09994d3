// What became of the events of an Append that did not store them all, within the few bytes that a
// status may carry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "forebay/errors.h"
#include "forebay/event.h"
#include "forebay/options.h"
#include "forebay/v1/ingest.pb.h"

namespace forebay {

// Headers are no place for thousands of results; many proxies and clients refuse more than 8 KiB,
// of which this is the part of the AppendFailure.
inline constexpr size_t kAppendFailureBytesMax = 3500;

// The events of one request as the answer needs them, in their order.
struct SentEvents {
  std::vector<std::string> ids;
  // The partition that the key stands for; nothing: it has no key. Empty: all go to one partition.
  std::vector<std::optional<uint32_t>> key_partitions;
  uint32_t partitions = 1;  // of the stream
};
SentEvents SentEventsOf(const std::vector<Event>& events, const StreamOptions& stream);

// As runs of events with the same fate, in the order that needs fewest; with a result for each
// event as well if there is room, and without offsets if there is little. Nothing: even the runs
// are too many.
std::optional<v1::AppendFailure> MakeAppendFailure(const SentEvents& events,
                                                   const std::vector<AppendResult>& results);

}  // namespace forebay
