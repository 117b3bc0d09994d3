#include "records/unknown_name.h"

#include "absl/strings/str_cat.h"
#include "base/printable.h"
#include "base/status.h"

namespace forebay {

absl::Status NoSuchStream(const StreamId& stream) {
  return absl::NotFoundError(
      absl::StrCat("there is no stream '", Shown(stream.value()),
                   "': correct the name, list it under 'streams' in the nodes' configuration, or "
                   "create it with Admin.CreateStream"));
}

absl::Status NoSuchPartition(const StreamOptions& stream, uint32_t partition) {
  return absl::NotFoundError(absl::StrCat("stream '", stream.name.value(), "' has partitions 0 to ",
                                          stream.partitions - 1, ", not ", partition));
}

}  // namespace forebay
