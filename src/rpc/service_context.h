// What the ingest and admin services share. Inside rpc only.
#pragma once

#include "rpc/backend_holder.h"
#include "rpc/stop_signal.h"
#include "runtime/executor.h"

namespace forebay {

// All must outlive the server.
struct ServiceContext {
  BackendHolder& backend;
  StopSignal& stop;
  Executor& worker;  // for what takes too long on a thread of gRPC
};

}  // namespace forebay
