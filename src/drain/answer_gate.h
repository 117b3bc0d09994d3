// AnswerGate: lets the answers of calls under way through, until it is closed.
#pragma once

#include <memory>
#include <utility>

#include "runtime/executor.h"

namespace forebay {

// Reads, sink calls and timers answer later, when what they were asked for may have passed: the
// partition was lost, or the wait ended early. An answer to a question that was asked before the
// last Close, or of an owner that is gone, is dropped.
//
// Confined to the loop, and so is what it lets through.
class AnswerGate {
 public:
  explicit AnswerGate(Executor& loop) : loop_(loop) {}

  void Close() { open_ = std::make_shared<bool>(true); }

  // For what calls back on the loop.
  template <typename Then>
  auto Through(Then then) const {
    return [open = std::weak_ptr<bool>(open_), then = std::move(then)](auto&&... answer) mutable {
      if (!open.expired()) then(std::forward<decltype(answer)>(answer)...);
    };
  }
  // For what calls back on any thread, with one argument.
  template <typename Then>
  auto OnLoop(Then then) const {
    return [&loop = loop_, through = Through(std::move(then))](auto answer) mutable {
      loop.Post([through = std::move(through), answer = std::move(answer)]() mutable {
        through(std::move(answer));
      });
    };
  }

 private:
  Executor& loop_;
  std::shared_ptr<bool> open_ =
      std::make_shared<bool>(true);  // only whether it is still there counts
};

}  // namespace forebay
