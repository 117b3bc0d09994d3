#include "producer/attempts.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace forebay {

void Attempts::Begin() {
  begun_++;
  open_++;
}

void Attempts::Answered(Outcome outcome) {
  FOREBAY_CHECK(begun_ > 0, "an answer to what was never sent");
  if (outcome == Outcome::kNotStored && open_ > 0) open_--;
}

AppendResult Attempts::GiveUp(const absl::Status& why) const {
  if (!MayBeStored()) return {.outcome = Outcome::kNotStored, .status = why};  // outcome-unknown
  return {.outcome = Outcome::kUnknown,
          .status = absl::DeadlineExceededError(absl::StrCat(
              "the outcome is unknown, as an attempt to store it was not answered (last: ",
              why.ToString(absl::StatusToStringMode::kWithNoExtraData), ")"))};
}

}  // namespace forebay
