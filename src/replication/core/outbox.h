// What a pure core wants sent.
#pragma once

#include <utility>
#include <vector>

#include "replication/core/message.h"

namespace forebay {

struct Outbox {
  std::vector<std::pair<NodeId, Message>> messages;

  void Send(const NodeId& to, Message message) { messages.emplace_back(to, std::move(message)); }
};

}  // namespace forebay
