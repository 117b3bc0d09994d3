// How the rounds of a drill are shown.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "node/drill.h"

namespace forebay {

// A row per round, and their total.
std::string RoundsTable(const RoundsReport& rounds);
nlohmann::ordered_json RoundsJson(const RoundsReport& rounds);

}  // namespace forebay
