// What the SQL sinks have in common.
#pragma once

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "forebay/event.h"
#include "forebay/sink.h"

namespace forebay {

// [A-Za-z_][A-Za-z0-9_]*, at most 63 bytes: a name that needs no quotes in SQL.
bool IsPlainName(std::string_view name);

// Times in UTC, all of one width, so that text sorts by time: 2026-01-02T03:04:05.000000006Z, or
// as PostgreSQL reads it, 2026-01-02 03:04:05.000000+00. The seconds are formatted once for all
// events that share them.
class TimeText {
 public:
  enum class Form { kNanoseconds, kPostgres };
  explicit TimeText(Form form) : form_(form) {}
  // Valid until the next call.
  std::string_view Of(absl::Time time);

 private:
  const Form form_;
  absl::Time second_ = absl::InfinitePast();
  std::string text_;
  size_t fraction_at_ = 0;
};

// FAILED_PRECONDITION when a higher epoch has been here, else OUT_OF_RANGE: why a batch's
// compare-and-set hit no row, given the row.
absl::Status WhyNoRow(const SinkBatch& batch, Epoch stored_epoch, Offset stored_next);

// What is wrong with a text, as in "is not UTF-8"; nullptr: nothing.
const char* WrongInText(std::string_view text);
// INVALID_ARGUMENT, naming the event, when `wrong` finds something in one of its texts: a poison
// event. Only blocks that were stored before nodes checked them hold text that is not UTF-8.
absl::Status CheckTexts(const Event& event,
                        absl::FunctionRef<const char*(std::string_view text)> wrong = WrongInText);

// INTERNAL when the batch comes from a binding of another name, whose progress is kept elsewhere.
absl::Status CheckName(const SinkBatch& batch, const SinkId& name);

}  // namespace forebay
