// Hands answers from a client library's threads to the publisher's.
#pragma once

#include <vector>

#include "absl/time/time.h"
#include "compare/peer.h"
#include "runtime/mutex.h"

namespace forebay::compare {

// Thread-safe. Callbacks may come after the publisher is gone, so both sides share it.
class AnswerQueue {
 public:
  void Add(Ticket ticket, bool stored) {
    MutexLock lock(mutex_);
    answers_.push_back({.ticket = ticket, .stored = stored, .at = Now()});
    if (answers_.size() == 1) changed_.SignalOne();
  }

  void Take(absl::Duration limit, std::vector<Answer>& out) {
    MutexLock lock(mutex_);
    if (answers_.empty() && limit > absl::ZeroDuration()) changed_.WaitFor(mutex_, limit);
    out.insert(out.end(), answers_.begin(), answers_.end());
    answers_.clear();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<Answer> answers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace forebay::compare
