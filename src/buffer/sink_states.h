// What the drain says about its sinks, as the admin service shows it.
#pragma once

#include <vector>

#include "drain/drain.h"
#include "node_api/rpc_backend.h"

namespace forebay {

// A sink that has not told its progress yet, because it does not answer, is shown at the
// partition's trim floor: everything below is delivered, so the lag is at most what it says.
std::vector<SinkState> SinkStatesOf(const std::vector<DrainStatus>& statuses,
                                    const std::vector<PartitionStatus>& partitions);

}  // namespace forebay
