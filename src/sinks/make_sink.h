// Sinks from their URLs, as the configuration and the drill write them.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "forebay/sink.h"

namespace forebay {

// "sqlite:/path/to/file", "postgres://user@host/database", "files:/path/to/folder". `name` is the
// name of the binding: the key of the sink's progress. INVALID_ARGUMENT says what is wrong; it does
// not repeat the URL, which may hold a password.
absl::StatusOr<std::shared_ptr<Sink>> MakeSink(const std::string& url, const SinkId& name);

}  // namespace forebay
