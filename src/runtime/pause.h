// Waiting on the main thread of a command.
#pragma once

#include "absl/time/time.h"

namespace forebay {

// Blocks the calling thread.
void Pause(absl::Duration duration);

}  // namespace forebay
