// A bounded set of connections that are lent out.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/mutex.h"

namespace forebay {

// Thread-safe. Must outlive its leases.
template <typename Connection>
class LeasePool {
 public:
  // Gives the connection back when it ends. Its holder opens one where there is none (nullptr), and
  // drops one that is broken.
  class Lease {
   public:
    Lease(LeasePool& pool, std::unique_ptr<Connection> connection)
        : connection(std::move(connection)), pool_(pool) {}
    ~Lease() { pool_.Return(std::move(connection)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    std::unique_ptr<Connection> connection;

   private:
    LeasePool& pool_;
  };

  explicit LeasePool(size_t connections_max) : left_(connections_max) {}

  // Waits until fewer than connections_max are lent out.
  Lease Take() {
    MutexLock lock(mutex_);
    while (left_ == 0) returned_.Wait(mutex_);
    left_--;
    std::unique_ptr<Connection> connection;
    if (!idle_.empty()) {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
    return Lease(*this, std::move(connection));
  }

 private:
  void Return(std::unique_ptr<Connection> connection) {
    MutexLock lock(mutex_);
    left_++;
    if (connection != nullptr) idle_.push_back(std::move(connection));
    returned_.SignalOne();
  }

  Mutex mutex_;
  CondVar returned_;
  size_t left_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Connection>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace forebay
