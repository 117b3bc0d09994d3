// For what only a bug can break. Prints the condition and aborts, in every build.
#pragma once

#include <string_view>

namespace forebay {

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              std::string_view detail);

}  // namespace forebay

// FOREBAY_CHECK(tail <= end, "tail beyond the sealed end");
#define FOREBAY_CHECK(condition, detail)                              \
  do {                                                                \
    if (!(condition)) [[unlikely]]                                    \
      ::forebay::CheckFailed(__FILE__, __LINE__, #condition, detail); \
  } while (false)
