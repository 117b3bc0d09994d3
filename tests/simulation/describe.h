// Short texts for traces.
#pragma once

#include <string>

#include "metadata/records.h"
#include "replication/message.h"

namespace forebay {

std::string Describe(const Message& message);
std::string Describe(const Chain& chain);

}  // namespace forebay
