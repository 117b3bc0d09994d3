// How an operator's command sets a block aside that no reader can decode.
#pragma once

#include "metadata/metadata_store.h"
#include "node_api/rpc_backend.h"
#include "runtime/executor.h"

namespace forebay {

// Gives the backend its set_aside and is_set_aside, made of its other functions. Blocks are decoded
// on `worker`. The store and the worker must outlive every call.
void AddSetAside(MetadataStore& metadata, Executor& worker, RpcBackend& backend);

}  // namespace forebay
