// What the ingest and admin services share.
#pragma once

#include "absl/time/time.h"
#include "rpc/access.h"
#include "rpc/stop_signal.h"
#include "runtime/executor.h"
#include "server/backend_holder.h"

namespace forebay {

// All must outlive the server.
struct ServiceContext {
  BackendHolder& backend;
  StopSignal& stop;
  const Access& access;
  Executor& worker;            // for what takes too long on a thread of gRPC
  absl::Duration hello_limit;  // for the first message on a stream of requests
};

}  // namespace forebay
