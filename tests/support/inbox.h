// Inbox: what other threads brought, to be waited for.
#pragma once

#include <utility>
#include <vector>

#include "runtime/mutex.h"

namespace forebay {

// Thread-safe.
template <typename Item>
class Inbox {
 public:
  void Add(Item item) {
    MutexLock lock(mutex_);
    items_.push_back(std::move(item));
    changed_.SignalAll();
  }
  // All that came, once there are that many; or what there is after 20 s, which fails a test.
  std::vector<Item> WaitFor(size_t count) {
    MutexLock lock(mutex_);
    for (int i = 0; i < 200 && items_.size() < count; i++) {
      changed_.WaitFor(mutex_, absl::Milliseconds(100));
    }
    return items_;
  }
  size_t size() {
    MutexLock lock(mutex_);
    return items_.size();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<Item> items_ ABSL_GUARDED_BY(mutex_);
};

// Waits until `holds()`, looking every few milliseconds; false after 20 s.
template <typename Condition>
bool Eventually(Condition holds) {
  Mutex mutex;
  CondVar never;
  for (int i = 0; i < 4000; i++) {
    if (holds()) return true;
    MutexLock lock(mutex);
    never.WaitFor(mutex, absl::Milliseconds(5));
  }
  return holds();
}

}  // namespace forebay
