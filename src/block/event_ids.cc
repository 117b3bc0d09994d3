#include "block/event_ids.h"

namespace forebay {

std::string EventIds::Next() {
  std::string id = next_;
  for (auto digit = next_.rbegin(); digit != next_.rend(); ++digit) {
    if (*digit != 'f') {
      *digit = *digit == '9' ? 'a' : static_cast<char>(*digit + 1);
      break;
    }
    *digit = '0';
  }
  return id;
}

}  // namespace forebay
