#include "drain/retry_pace.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "runtime/log.h"

namespace forebay {
namespace {

// A sink that stays away is one line a minute, not one per retry.
constexpr absl::Duration kLogAgainAfter = absl::Minutes(1);
constexpr int kDoublingsMax = 20;  // the longest wait is reached long before

}  // namespace

void RetryPace::Succeeded() {
  failures_ = 0;
  last_error_.clear();
}

absl::Duration RetryPace::Failed(const std::string& name, const std::string& error,
                                 DrainContext& context) {
  const absl::Time now = context.clock.Now();
  if (error != last_error_ || now - logged_at_ >= kLogAgainAfter) {
    logged_at_ = now;
    Log(LogLevel::kWarning, absl::StrCat(name, ": ", error, "; will be retried for ever"));
  }
  last_error_ = error;
  absl::Duration wait = context.options.retry_wait_min * (1 << std::min(failures_, kDoublingsMax));
  wait = std::min(wait, context.options.retry_wait_max);
  failures_++;
  // Many partitions fail together when their sink goes away: they must not come back together.
  return context.random.Between(wait / 2, wait);
}

}  // namespace forebay
