// How the rounds of a drill are shown.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "drill/drill_options.h"
#include "drill/drill_outcome.h"

namespace forebay {

// A row per round, and their total.
std::string RoundsTable(const RoundsReport& rounds);
nlohmann::ordered_json RoundsJson(const RoundsReport& rounds);

}  // namespace forebay
