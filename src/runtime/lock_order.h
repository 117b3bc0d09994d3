// Whether gRPC's locks are checked for deadlocks while the program runs.
#pragma once

namespace forebay {

// For the whole process. Debian's Abseil is built with its debug checks, of which this one notes
// the order of all of gRPC's locks each time one is taken.
void LeaveLockOrderUnchecked();

}  // namespace forebay
