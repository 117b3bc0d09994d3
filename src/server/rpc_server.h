// RpcServer: the gRPC side of a node: peer, ingest and admin services, reflection and health.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "forebay/ids.h"
#include "node_api/rpc_backend.h"
#include "peer/grpc_transport.h"
#include "rpc/connection_gate.h"
#include "rpc/credentials.h"

namespace forebay {

struct RpcServerOptions {
  std::string listen = "127.0.0.1:0";  // port 0: any free port
  // Dial a peer's address through another one (node id -> address), also for relayed appends.
  std::map<NodeId, std::string> dial_instead;
  // Null: plaintext. Shared by all connections of the process.
  std::shared_ptr<const Credentials> credentials;
  std::vector<AccessRule> access;
  ServerLimits limits;
  // Who opens a stream says who it is or sends a block at once; or the stream ends.
  absl::Duration hello_limit = absl::Seconds(10);
  // An append with a producer identity is relayed to its owner, over any number of them, for at
  // most this long if the caller's own deadline is not shorter.
  absl::Duration relay_limit = absl::Seconds(10);
};

// Thread-safe. To stop a node: Shutdown, then stop what is behind the backend, then destroy this:
// callbacks of the backend may come until then.
class RpcServer {
 public:
  // Binds and serves peers at once, so that the address is known before the node is built. Until
  // Serve, ingest and admin answer UNAVAILABLE and health NOT_SERVING. The transports must outlive
  // the server. UNAVAILABLE: the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Listen(RpcServerOptions options,
                                                           GrpcTransport& messages,
                                                           GrpcTransport& heartbeats);
  ~RpcServer();  // Shutdown(zero)

  // "host:port", with the port that was bound.
  const std::string& address() const;

  ConnectionStats connections() const;

  // Calls go to the backend from now on, and health turns SERVING.
  void Serve(RpcBackend backend);
  // New calls are answered UNAVAILABLE and health turns NOT_SERVING, so that clients go elsewhere
  // while the node hands its partitions over. Calls under way go on.
  void Quiesce();
  // Ends the streams, gives other calls until the deadline, then cancels them. The backend is not
  // used any more when it returns.
  void Shutdown(absl::Duration deadline);

 private:
  class Impl;
  explicit RpcServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace forebay
