// What `forebay status` prints.
#pragma once

#include <string>

#include "client/remote_cluster.h"

namespace forebay {

// Segments of all partitions with fewer copies than asked for.
int UnderReplicated(const ClusterStatus& status);

// Every node answers, but for those in maintenance, and every segment has its copies.
bool IsWell(const ClusterStatus& status);

std::string StatusTables(const ClusterStatus& status);
std::string StatusJson(const ClusterStatus& status);

}  // namespace forebay
