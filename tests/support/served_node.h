// ServedNode: a FakeBackend behind a real gRPC server on loopback.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "server/rpc_server.h"
#include "support/fake_backend.h"

namespace forebay {

class ServedNode {
 public:
  // Not serving yet: call Serve.
  explicit ServedNode(const std::string& name, RpcServerOptions options = {})
      : backend_(name), messages_(Options(name, options)), heartbeats_(Options(name, options)) {
    auto server = RpcServer::Listen(std::move(options), messages_, heartbeats_);
    if (!server.ok()) ADD_FAILURE() << server.status();
    server_ = *std::move(server);
    backend_.SetNodes({{name, address()}});
  }
  ~ServedNode() { Shutdown(); }

  void Serve() { server_->Serve(backend_.Functions()); }
  void Shutdown() { server_->Shutdown(absl::ZeroDuration()); }

  const std::string& address() const { return server_->address(); }
  FakeBackend& backend() { return backend_; }
  RpcServer& server() { return *server_; }
  GrpcTransport& messages() { return messages_; }

 private:
  static GrpcTransportOptions Options(const std::string& name, const RpcServerOptions& server) {
    GrpcTransportOptions options;
    options.self = NodeId(name);
    options.credentials = server.credentials;
    return options;
  }

  FakeBackend backend_;
  GrpcTransport messages_;
  GrpcTransport heartbeats_;
  std::unique_ptr<RpcServer> server_;
};

}  // namespace forebay
