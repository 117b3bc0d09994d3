// Which stream a command means when none is named.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/remote_cluster.h"
#include "forebay/ids.h"

namespace forebay {

// `name`, if it is there; with no name the only stream that is no dead-letter stream.
// INVALID_ARGUMENT or NOT_FOUND list the streams there are.
absl::StatusOr<StreamId> ChooseStream(RemoteCluster& cluster, const std::string& name);

}  // namespace forebay
