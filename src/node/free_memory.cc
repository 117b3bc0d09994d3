#include "node/free_memory.h"

#include <malloc.h>

namespace forebay {
namespace {

constexpr size_t kAboutBytes = 1 << 20;

}  // namespace

void FreeMemory::Look() {
  const size_t used = ::mallinfo2().uordblks;
  const bool rests = used < used_bytes_ + kAboutBytes && used_bytes_ < used + kAboutBytes;
  if (!rests) {
    used_bytes_ = used;
    given_back_ = false;
  } else if (!given_back_) {
    ::malloc_trim(0);
    given_back_ = true;
  }
}

}  // namespace forebay
