// RetryPace: how long to wait before the next try, and how often to say so.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "drain/drain_context.h"

namespace forebay {

// Confined to the loop.
class RetryPace {
 public:
  // True since the first failure, until a call has gone well.
  bool failing() const { return failures_ > 0; }
  const std::string& last_error() const { return last_error_; }

  void Succeeded();
  // The wait before the next try. Logs the error, with the name of what failed, now and then.
  absl::Duration Failed(const std::string& name, const std::string& error, DrainContext& context);
  // Nothing is tried again, and this is why.
  void StoppedBy(std::string why) { last_error_ = std::move(why); }

 private:
  int failures_ = 0;  // in a row
  absl::Time logged_at_ = absl::InfinitePast();
  std::string last_error_;
};

}  // namespace forebay
