// One unary Append, from request to answer.
#pragma once

#include <memory>

#include "absl/time/time.h"
#include "block/event_ids.h"
#include "forebay/clock.h"
#include "forebay/v1/ingest.pb.h"
#include "rpc/unary_call.h"
#include "runtime/executor.h"
#include "server/backend_holder.h"
#include "server/block_relay.h"

namespace forebay {

// Confined to `worker`, which is the relay's executor. All must outlive the server.
struct AppendContext {
  Clock& clock;
  EventIds& ids;
  BlockRelay& relay;
  Executor& worker;
};

struct PendingAppend {
  std::unique_ptr<v1::AppendRequest> request;
  absl::Duration limit;  // what is left of the caller's time
  std::shared_ptr<UnaryCall<v1::AppendResponse>> call;
};

// Checks the request, appends its events and ends the call, however it ends. On `worker`.
void RunAppend(AppendContext context, BackendHolder::Held backend, PendingAppend append);

}  // namespace forebay
