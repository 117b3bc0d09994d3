#include "cli/event_lines.h"

#include "base/status.h"
#include "block/block.h"
#include "block/event_json.h"

namespace forebay {

bool EventLines::Next(absl::StatusOr<Event>& event) {
  while (std::getline(in_, text_)) {
    ++line_;
    if (!text_.empty() && text_.back() == '\r') text_.pop_back();
    if (text_.find_first_not_of(" \t") == std::string::npos) continue;
    event = ParseEventJson(text_);
    if (event.ok()) {
      if (const absl::Status status = ValidateEvent(*event); !status.ok()) event = status;
    }
    if (!event.ok()) event = WithContext(event.status(), "line ", line_);
    return true;
  }
  return false;
}

}  // namespace forebay
