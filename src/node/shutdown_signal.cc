#include "node/shutdown_signal.h"

#include <signal.h>

namespace forebay {
namespace {

sigset_t Signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

ShutdownSignal::ShutdownSignal() {
  const sigset_t set = Signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

bool ShutdownSignal::WaitFor(absl::Duration limit) {
  const sigset_t set = Signals();
  const timespec wait = absl::ToTimespec(limit);
  return ::sigtimedwait(&set, nullptr, &wait) > 0;
}

}  // namespace forebay
