// Reads back what a sink holds, for the drill.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "drill/drill_verdict.h"

namespace forebay {

// All rows of a stream. `url` is a sink's url as in the node's configuration. Per partition they
// come in the order in which the sink took them, from PostgreSQL in the order of their offsets: a
// table there has no other.
absl::StatusOr<std::vector<SinkRow>> ReadSink(const std::string& url, const std::string& stream);

// Removes the rows of a stream and their progress from a PostgreSQL database.
absl::Status ClearPostgres(const std::string& url, const std::string& stream);

}  // namespace forebay
