#include "sinks/make_sink.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace forebay {

absl::StatusOr<std::shared_ptr<Sink>> MakeSink(const std::string& url, const SinkId& name) {
  absl::string_view rest = url;
  if (absl::ConsumePrefix(&rest, "sqlite:")) {
    SqliteSinkOptions options;
    options.name = name;
    options.path = std::string(rest);
    return OpenSqliteSink(std::move(options));
  }
  if (absl::ConsumePrefix(&rest, "files:")) {
    FilesSinkOptions options;
    options.name = name;
    options.directory = std::string(rest);
    return OpenFilesSink(std::move(options));
  }
  if (absl::StartsWith(url, "postgres://") || absl::StartsWith(url, "postgresql://")) {
    PostgresSinkOptions options;
    options.name = name;
    options.url = url;
    return OpenPostgresSink(std::move(options));
  }
  return absl::InvalidArgumentError(
      "a sink's URL must look like sqlite:/path/to/file, postgres://user@host/database or "
      "files:/path/to/folder");
}

}  // namespace forebay
