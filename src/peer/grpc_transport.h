// GrpcTransport: messages between nodes over gRPC.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "forebay/ids.h"
#include "replication/transport.h"
#include "rpc/credentials.h"

namespace forebay {

// Which of the Peer service's two methods a transport uses. Each has a connection of its own, so
// that a heartbeat never waits behind a block.
enum class PeerLane { kMessages, kHeartbeats };

struct GrpcTransportOptions {
  NodeId self;
  PeerLane lane = PeerLane::kMessages;
  // Of messages that wait for one connected peer; over it new ones are dropped. One that is not
  // connected keeps at most 1 MiB: what is older is worth little when it returns.
  size_t queue_bytes_max = 64 << 20;
  // Dial a peer's address through another one (node id -> address).
  std::map<NodeId, std::string> dial_instead;
  // Null: plaintext. Shared by all connections of the process.
  std::shared_ptr<const Credentials> credentials;
};

struct GrpcTransportStats {
  uint64_t sent_messages = 0;      // handed to a connection
  uint64_t received_messages = 0;  // handed to the handler
  uint64_t dropped_messages = 0;   // queue full, peer unknown, connection broken, too large
};

// One outgoing stream per peer, made again 20 to 500 ms after it broke; incoming streams are the
// RpcServer's, which calls Deliver. The handler runs on gRPC's threads, for several peers at once.
class GrpcTransport final : public Transport {
 public:
  explicit GrpcTransport(GrpcTransportOptions options);
  ~GrpcTransport() override;  // stops

  void Receive(Handler handler) override;
  void SetPeers(std::map<NodeId, std::string> addresses) override;
  void SendAll(const NodeId& to, std::vector<Message> messages) override;
  // Waits for handlers under way, so it must not be called from one.
  void Stop() override;

  // A message that `from` sent us.
  void Deliver(const NodeId& from, Message message);
  const NodeId& self() const;
  GrpcTransportStats stats() const;

 private:
  class Impl;
  // Shared with streams and tasks that are still winding down.
  std::shared_ptr<Impl> impl_;
};

}  // namespace forebay
