// One log, to stderr, for humans or as JSON lines. Thread-safe.
#pragma once

#include <string>

namespace forebay {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kHuman, kJson };

// Called once at start, before other threads exist. Without it: human format, warnings and errors.
void SetUpLog(LogFormat format, LogLevel level, const std::string& node);

void Log(LogLevel level, const std::string& message);

}  // namespace forebay
