#include "runtime/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/printable.h"

namespace forebay {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

struct Setup {
  std::shared_ptr<spdlog::logger> logger;
  bool json = false;
};

// The log outlives every other object, so it is never destroyed.
Setup& TheSetup() {
  static Setup* const setup = [] {
    auto* made = new Setup{spdlog::stderr_color_mt("forebay")};
    made->logger->set_level(spdlog::level::warn);
    return made;
  }();
  return *setup;
}

// Of what Printable made.
std::string JsonEscaped(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

void SetUpLog(LogFormat format, LogLevel level, const std::string& node) {
  Setup& setup = TheSetup();
  setup.json = format == LogFormat::kJson;
  setup.logger->set_level(ToSpdlog(level));
  setup.logger->set_pattern(
      setup.json ? absl::StrCat(R"({"time":"%Y-%m-%dT%H:%M:%S.%f","level":"%l","node":")",
                                JsonEscaped(node), R"(","message":"%v"})")
                 : absl::StrCat("%Y-%m-%d %H:%M:%S.%e %^%-7l%$ ",
                                absl::StrReplaceAll(node, {{"%", "%%"}}), " %v"));
}

void Log(LogLevel level, const std::string& message) {
  const Setup& setup = TheSetup();
  setup.logger->log(ToSpdlog(level),
                    setup.json ? JsonEscaped(Printable(message)) : Printable(message));
}

}  // namespace forebay
