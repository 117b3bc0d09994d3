// What the drain says about its sinks, as the admin service shows it.
#pragma once

#include <vector>

#include "drain/drain.h"
#include "rpc/rpc_backend.h"

namespace forebay {

std::vector<SinkState> SinkStatesOf(const std::vector<DrainStatus>& statuses);

}  // namespace forebay
