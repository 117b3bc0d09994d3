// Short texts for traces.
#pragma once

#include <string>

#include "records/records.h"
#include "replication/core/message.h"

namespace forebay {

std::string Describe(const Message& message);
std::string Describe(const Chain& chain);

}  // namespace forebay
