#include "node/node_process.h"

#include <unistd.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "buffer/node_assembly.h"
#include "node/exit_code.h"
#include "node/free_memory.h"
#include "node/node_metrics.h"
#include "runtime/log.h"
#include "runtime/mutex.h"
#include "runtime/thread_executor.h"
#include "sinks/make_sink.h"

namespace forebay {
namespace {

constexpr absl::Duration kCloseLimit = absl::Seconds(10);
constexpr absl::Duration kLook = absl::Milliseconds(100);
constexpr int kLooksPerMemoryLook = 100;

absl::Status OpenSinks(const NodeConfig& config, BufferOptions& options) {
  for (const SinkConfig& sink : config.sinks) {
    auto made = MakeSink(sink.url, sink.binding.name);
    if (!made.ok()) return WithContext(made.status(), "sink ", sink.binding.name.value());
    options.sinks.push_back(sink.binding);
    options.sinks.back().sink = *std::move(made);
  }
  return absl::OkStatus();
}

// Told by a thread of the node, read by the main thread.
class StoreFailure {
 public:
  void Set(const absl::Status& why) {
    MutexLock lock(mutex_);
    why_ = why;
  }
  absl::Status Get() {
    MutexLock lock(mutex_);
    return why_;
  }

 private:
  Mutex mutex_;
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
};

// Nothing can be handed over properly any more, and what is stored is safe on the peers.
[[noreturn]] void EndWithFailedStore(const absl::Status& why) {
  Log(LogLevel::kError,
      absl::StrCat(
          "the store failed and takes no more writes; ending, so that the peers take over. "
          "Check the disk, then start the node again: ",
          why.message()));
  ::_exit(kExitStoreFailed);
}

// Closes on a thread of its own, so that a second signal is heard meanwhile.
absl::Status CloseUnlessHurried(NodeAssembly& node, ShutdownSignal& signal) {
  Mutex mutex;
  bool closed = false;
  absl::Status status;
  ThreadExecutor closer("close");
  closer.Post([&] {
    absl::Status result = node.Close(kCloseLimit);
    MutexLock lock(mutex);
    status = std::move(result);
    closed = true;
  });
  while (true) {
    {
      MutexLock lock(mutex);
      if (closed) return status;
    }
    if (!signal.WaitFor(kLook)) continue;
    Log(LogLevel::kWarning, "second signal: ending at once");
    ::_exit(kExitFailed);
  }
}

}  // namespace

int RunNode(const NodeConfig& config, ShutdownSignal& signal) {
  BufferOptions options = config.buffer;
  if (const absl::Status status = OpenSinks(config, options); !status.ok()) return Fail(status);
  StoreFailure failure;
  auto node = NodeAssembly::Open(std::move(options),
                                 [&failure](const absl::Status& why) { failure.Set(why); });
  if (!node.ok()) return Fail(WithContext(node.status(), "node ", config.buffer.node.value()));
  std::unique_ptr<NodeMetrics> metrics;
  if (!config.metrics.listen.empty()) {
    auto served = NodeMetrics::Serve(config.metrics.listen, **node);
    if (!served.ok()) return Fail(served.status());
    metrics = *std::move(served);
  }
  FreeMemory memory;
  for (uint64_t looks = 1; !signal.WaitFor(kLook); ++looks) {
    const absl::Status failed = failure.Get();
    if (!failed.ok()) EndWithFailedStore(failed);
    if (looks % kLooksPerMemoryLook == 0) memory.Look();
  }
  Log(LogLevel::kInfo, "stopping: handing partitions over");
  metrics.reset();
  const absl::Status closed = CloseUnlessHurried(**node, signal);
  if (!closed.ok()) {
    Log(LogLevel::kWarning, absl::StrCat("stopped, but not as it should: ", closed.message()));
    return kExitFailed;
  }
  Log(LogLevel::kInfo, "stopped");
  return kExitOk;
}

}  // namespace forebay
