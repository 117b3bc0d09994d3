#include "drill/drill_outcome.h"

namespace forebay {

bool DrillReport::Passed() const {
  return verdict.ExactlyOnce() && failed == 0 && verdict.acknowledged == verdict.sent && repaired;
}

}  // namespace forebay
