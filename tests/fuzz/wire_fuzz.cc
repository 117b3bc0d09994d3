// libFuzzer target: cmake --preset fuzz && ninja -C build/fuzz wire_fuzz.
#include "fuzz/wire_fuzz.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  forebay::FuzzWire({reinterpret_cast<const char*>(data), size});
  return 0;
}
