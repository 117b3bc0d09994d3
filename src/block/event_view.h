// An event whose texts lie elsewhere: checked before anything is built of it. Inside block only.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace forebay {

struct EventView {
  std::string_view id;
  std::string_view key;
  std::string_view type;
  std::string_view payload;
  std::vector<std::pair<std::string_view, std::string_view>> attributes;
};

// As of block.h. The time is not in a view, because on the wire every time fits.
absl::Status ValidateEvent(const EventView& event);

}  // namespace forebay
