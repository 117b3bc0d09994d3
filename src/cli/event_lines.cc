#include "cli/event_lines.h"

#include "base/status.h"
#include "block/block.h"
#include "block/event_json.h"

namespace forebay {

bool EventLines::Next(absl::StatusOr<Event>& event) {
  while (std::getline(in_, text_)) {
    ++line_;
    if (!text_.empty() && text_.back() == '\r') text_.pop_back();
    // Some editors begin a file with a byte order mark.
    if (line_ == 1 && text_.compare(0, 3, "\xEF\xBB\xBF") == 0) text_.erase(0, 3);
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
