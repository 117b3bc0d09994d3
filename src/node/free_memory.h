// FreeMemory: gives what malloc keeps free back to the system once the process has come to rest,
// as after a burst of events or long answers. glibc does so only with what lies at the end of an
// arena.
#pragma once

#include <cstddef>

namespace forebay {

// Confined to one thread.
class FreeMemory {
 public:
  // To be called every few seconds: at rest is who has about as much in use as at the last call.
  // At most once for each rest it takes as long as it takes malloc to walk through what is free.
  void Look();

 private:
  size_t used_bytes_ = 0;
  bool given_back_ = false;
};

}  // namespace forebay
