// Small helpers around absl::Status.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace forebay {

// The same code and payloads, with "what: " before the message.
// return WithContext(status, "append to peer ", peer.value());
template <typename... Parts>
absl::Status WithContext(const absl::Status& status, const Parts&... parts) {
  if (status.ok()) return status;
  absl::Status out(status.code(), absl::StrCat(parts..., ": ", status.message()));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { out.SetPayload(url, payload); });
  return out;
}

// Whether a caller's certificate or token is not good enough, which trying again does not change.
inline bool IsAccessRefused(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnauthenticated ||
         status.code() == absl::StatusCode::kPermissionDenied;
}

// Debian's Abseil has a string_view of its own; this is the bridge to it.
inline absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace forebay

// Returns from the enclosing function when the status is not OK.
#define FOREBAY_RETURN_IF_ERROR(expression)                   \
  do {                                                        \
    if (absl::Status status_ = (expression); !status_.ok()) { \
      return status_;                                         \
    }                                                         \
  } while (false)
