// libFuzzer target: cmake --preset fuzz && ninja -C build/fuzz lines_fuzz.
#include "fuzz/lines_fuzz.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  forebay::FuzzLines({reinterpret_cast<const char*>(data), size});
  return 0;
}
