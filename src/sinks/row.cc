#include "sinks/row.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace forebay {

bool IsPlainName(std::string_view name) {
  return !name.empty() && name.size() <= 63 && !absl::ascii_isdigit(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

absl::Status WhyNoRow(const SinkBatch& batch, Epoch stored_epoch, Offset stored_next) {
  if (stored_epoch > batch.epoch) {
    return absl::FailedPreconditionError(absl::StrCat("fenced: epoch ", stored_epoch.value(),
                                                      " has opened ", batch.partition.ToString(),
                                                      ", this is epoch ", batch.epoch.value()));
  }
  return absl::OutOfRangeError(absl::StrCat(
      "the sink is at epoch ", stored_epoch.value(), ", offset ", stored_next.value(),
      "; the batch is of epoch ", batch.epoch.value(), ", from offset ", batch.first.value()));
}

absl::Status CheckName(const SinkBatch& batch, const SinkId& name) {
  if (batch.sink == name) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the sink was made with the name '", name.value(),
                                          "', its binding has '", batch.sink.value(),
                                          "'; give both the same name"));
}

}  // namespace forebay
