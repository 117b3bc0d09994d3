// The Replicator's part of what the services need of a node.
#pragma once

#include "forebay/ids.h"
#include "node_api/rpc_backend.h"
#include "replication/replicator.h"

namespace forebay {

// A backend with the Replicator's functions; the rest is the caller's to fill in. The replicator
// must outlive every use of it.
RpcBackend BackendOf(const NodeId& self, Replicator& replicator);

}  // namespace forebay
