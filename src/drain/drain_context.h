// What all tasks of a Drain share.
#pragma once

#include <array>
#include <vector>

#include "drain/drain.h"
#include "drain/worker_pool.h"

namespace forebay {

struct DrainContext {
  Clock& clock;
  Executor& loop;
  WorkerPool workers;
  Random random;
  DrainPorts ports;
  DrainOptions options;
  std::vector<SinkBinding> sinks;
  DrainVisits visits = {};
};

}  // namespace forebay
