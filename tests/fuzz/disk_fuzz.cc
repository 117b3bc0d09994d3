// libFuzzer target: cmake --preset fuzz && ninja -C build/fuzz disk_fuzz.
#include "fuzz/disk_fuzz.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  forebay::FuzzDisk({reinterpret_cast<const char*>(data), size});
  return 0;
}
