// Numbers for people.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace forebay {

// 1234567 -> "1,234,567"
std::string Grouped(uint64_t number);
// "2.5 s"
std::string InSeconds(absl::Duration time);

}  // namespace forebay
