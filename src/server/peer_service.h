// The Peer service: incoming streams from other nodes, delivered to the transports. Inside rpc
// only.
#pragma once

#include <memory>

#include "forebay/v1/peer.grpc.pb.h"
#include "peer/grpc_transport.h"
#include "server/service_context.h"

namespace forebay {

class PeerService final : public v1::Peer::CallbackService {
 public:
  // All must outlive the server that has this service.
  PeerService(GrpcTransport& messages, GrpcTransport& heartbeats, ServiceContext context);

  grpc::ServerBidiReactor<v1::PeerEnvelope, v1::PeerWelcome>* Exchange(
      grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<v1::PeerEnvelope, v1::PeerWelcome>* Heartbeats(
      grpc::CallbackServerContext* context) override;

 private:
  GrpcTransport& messages_;
  GrpcTransport& heartbeats_;
  const ServiceContext context_;
};

}  // namespace forebay
