// libFuzzer target: cmake --preset fuzz && ninja -C build/fuzz config_fuzz.
#include "fuzz/config_fuzz.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  forebay::FuzzConfig({reinterpret_cast<const char*>(data), size});
  return 0;
}
