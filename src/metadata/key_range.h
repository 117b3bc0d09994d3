// Keys that start with a prefix, as a range.
#pragma once

#include <string>

namespace forebay {

// The first key after all that start with the prefix; empty: there is none, the range has no end.
inline std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

}  // namespace forebay
