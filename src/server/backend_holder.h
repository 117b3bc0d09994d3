// BackendHolder: the backend, while there is one.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "forebay/errors.h"
#include "node_api/rpc_backend.h"
#include "runtime/mutex.h"

namespace forebay {

// Thread-safe.
class BackendHolder {
 public:
  // Shared with the calls under way.
  using Held = std::shared_ptr<const RpcBackend>;

  // UNAVAILABLE, with a hint when to try again, while there is none.
  absl::StatusOr<Held> Get() {
    MutexLock lock(mutex_);
    if (held_ != nullptr) return held_;
    // Its partitions have another owner within some tens of milliseconds; a start takes longer.
    return WithRetryAfter(
        absl::UnavailableError(absl::StrCat("this node is ", was_served_ ? "stopping" : "starting",
                                            ": ask another one, or wait and ask again")),
        was_served_ ? absl::Milliseconds(20) : absl::Milliseconds(200));
  }
  void Set(RpcBackend backend) {
    auto held = std::make_shared<const RpcBackend>(std::move(backend));
    MutexLock lock(mutex_);
    held_ = std::move(held);
    was_served_ = true;
  }
  void Clear() {
    Held held;  // freed outside the lock
    MutexLock lock(mutex_);
    held.swap(held_);
    was_served_ = true;
  }

 private:
  Mutex mutex_;
  Held held_ ABSL_GUARDED_BY(mutex_);
  bool was_served_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace forebay
