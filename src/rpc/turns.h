// Turns: many threads decide what a stream does next, one at a time does it.
#pragma once

#include <atomic>
#include <cstdint>

namespace forebay {

// Runs a step for any caller, one thread at a time; a thread that comes while another is at it
// leaves, and the step runs once more.
class Turns {
 public:
  template <typename Step>
  void Take(Step step) {
    if (wanted_.fetch_add(1, std::memory_order_acq_rel) != 0) return;
    uint32_t handled = 1;
    while (true) {
      step();
      const uint32_t before = wanted_.fetch_sub(handled, std::memory_order_acq_rel);
      if (before == handled) return;
      handled = before - handled;
    }
  }

 private:
  std::atomic<uint32_t> wanted_{0};
};

}  // namespace forebay
