// libFuzzer target: cmake --preset fuzz && ninja -C build/fuzz block_fuzz.
#include "fuzz/block_fuzz.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  forebay::FuzzBlock({reinterpret_cast<const char*>(data), size});
  return 0;
}
