// Numbers for people.
#pragma once

#include <cstdint>
#include <string>

namespace forebay {

// 1234567 -> "1,234,567"
std::string Grouped(uint64_t number);

}  // namespace forebay
