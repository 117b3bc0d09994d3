// What the SQL sinks have in common.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "forebay/sink.h"

namespace forebay {

// [A-Za-z_][A-Za-z0-9_]*, at most 63 bytes: a name that needs no quotes in SQL.
bool IsPlainName(std::string_view name);

// FAILED_PRECONDITION when a higher epoch has been here, else OUT_OF_RANGE: why a batch's
// compare-and-set hit no row, given the row.
absl::Status WhyNoRow(const SinkBatch& batch, Epoch stored_epoch, Offset stored_next);

// INTERNAL when the batch comes from a binding of another name, whose progress is kept elsewhere.
absl::Status CheckName(const SinkBatch& batch, const SinkId& name);

}  // namespace forebay
