// One unary Append, from request to answer. Inside rpc only.
#pragma once

#include <memory>

#include "absl/time/time.h"
#include "block/event_ids.h"
#include "forebay/clock.h"
#include "forebay/v1/ingest.pb.h"
#include "rpc/backend_holder.h"
#include "rpc/block_relay.h"
#include "rpc/unary_call.h"

namespace forebay {

// Confined to the executor of `relay`.
struct AppendContext {
  Clock& clock;
  EventIds& ids;
  BlockRelay& relay;
};

// Checks the request, appends its events and ends the call, however it ends. Only `limit` is left
// of the caller's time.
void RunAppend(AppendContext context, const RpcBackend& backend, v1::AppendRequest& request,
               absl::Duration limit, std::shared_ptr<UnaryCall<v1::AppendResponse>> call);

}  // namespace forebay
