// Transport: carries messages between nodes, as well as it can.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "forebay/ids.h"
#include "replication/core/message.h"

namespace forebay {

// Thread-safe. Messages to one peer arrive in order while the connection lives, and may be lost
// when it breaks or when the peer's queue (a bounded number of bytes) is full. Nothing is promised:
// a sender that needs an answer asks again. A node may send to itself.
class Transport {
 public:
  // Runs on a thread of the transport; must not block.
  using Handler = absl::AnyInvocable<void(const NodeId& from, Message message)>;

  virtual ~Transport() = default;

  // Messages that arrive before this are dropped.
  virtual void Receive(Handler handler) = 0;
  // The addresses of the peers, by id; replaces what was set before.
  virtual void SetPeers(std::map<NodeId, std::string> addresses) = 0;
  // Never blocks. To an unknown peer: dropped. Messages sent in one call cost little more than one.
  virtual void SendAll(const NodeId& to, std::vector<Message> messages) = 0;
  void Send(const NodeId& to, Message message) {
    std::vector<Message> messages;
    messages.push_back(std::move(message));
    SendAll(to, std::move(messages));
  }
  // No handler runs after this has returned.
  virtual void Stop() = 0;
};

}  // namespace forebay
