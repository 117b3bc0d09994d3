#include "server/peer_service.h"

#include <atomic>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "rpc/server_stream.h"
#include "runtime/log.h"
#include "wire/message_wire.h"
#include "wire/protocol_version.h"
#include "wire/status_wire.h"

namespace forebay {
namespace {

class Incoming final : public ServerStream<v1::PeerEnvelope, v1::PeerWelcome> {
 public:
  Incoming(GrpcTransport& transport, StopSignal& stop, Caller caller)
      : transport_(transport), stop_(stop), caller_(std::move(caller)) {}

  void ListenForStop() {
    stop_id_ = stop_.Add([weak = weak_from_this()] {
      if (const auto stream = weak.lock()) {
        stream->End({grpc::StatusCode::UNAVAILABLE, "the node is stopping"});
      }
    });
  }

 protected:
  bool OnRequest(v1::PeerEnvelope& envelope, grpc::Status& status) override {
    if (from_.empty()) {
      status = Greet(envelope);
      if (!status.ok()) return false;
      welcome_due_ = true;
      return true;
    }
    for (v1::PeerMessage& wire : *envelope.mutable_messages()) {
      absl::StatusOr<Message> message = FromWire(wire);
      if (message.ok()) {
        transport_.Deliver(from_, *std::move(message));
      } else {
        // As good as lost on the way; whoever needs it asks again.
        Log(LogLevel::kWarning, absl::StrCat("dropped a message from peer ", from_.value(), ": ",
                                             message.status().ToString()));
      }
    }
    return true;
  }
  bool OnRequestsDone() override { return true; }
  bool Next(v1::PeerWelcome& welcome) override {
    if (!welcome_due_.exchange(false)) return false;
    welcome.set_protocol_version(kProtocolVersion);
    welcome.set_node(transport_.self().value());
    return true;
  }
  void OnEnd() override { stop_.Remove(stop_id_); }

 private:
  grpc::Status Greet(const v1::PeerEnvelope& envelope) {
    const v1::PeerHello& hello = envelope.hello();
    const std::string self = transport_.self().value();
    if (!envelope.has_hello() || hello.from().empty()) {
      return {grpc::StatusCode::INVALID_ARGUMENT,
              "the first envelope must hold a hello that names the calling node"};
    }
    if (hello.protocol_version() != kProtocolVersion) {
      return {grpc::StatusCode::FAILED_PRECONDITION,
              absl::StrCat("node ", self, " speaks peer protocol version ", kProtocolVersion,
                           ", node ", hello.from(), " speaks version ", hello.protocol_version(),
                           ": run the same release on both")};
    }
    if (hello.to() != self) {
      return {grpc::StatusCode::FAILED_PRECONDITION,
              absl::StrCat("node ", self, " listens here, not node ", hello.to(),
                           ": its address in the metadata store is out of date until it starts "
                           "again, or two nodes advertise the same address")};
    }
    const NodeId from(hello.from());
    if (absl::Status status = caller_.CheckIsNode(from); !status.ok()) return ToGrpc(status);
    from_ = from;
    return grpc::Status::OK;
  }

  GrpcTransport& transport_;
  StopSignal& stop_;
  const Caller caller_;
  uint64_t stop_id_ = 0;
  NodeId from_;
  std::atomic<bool> welcome_due_{false};
};

grpc::ServerBidiReactor<v1::PeerEnvelope, v1::PeerWelcome>* Accept(
    GrpcTransport& transport, const ServiceContext& context,
    const grpc::CallbackServerContext& call) {
  absl::StatusOr<Caller> caller = context.access.Recognize(call);
  if (!caller.ok()) return Refuse<v1::PeerEnvelope, v1::PeerWelcome>(caller.status());
  const auto stream = std::make_shared<Incoming>(transport, context.stop, *std::move(caller));
  stream->ListenForStop();
  stream->Begin();
  stream->EndUnlessHeardWithin(context.hello_limit, context.worker);
  return stream.get();
}

}  // namespace

PeerService::PeerService(GrpcTransport& messages, GrpcTransport& heartbeats, ServiceContext context)
    : messages_(messages), heartbeats_(heartbeats), context_(context) {}

grpc::ServerBidiReactor<v1::PeerEnvelope, v1::PeerWelcome>* PeerService::Exchange(
    grpc::CallbackServerContext* context) {
  return Accept(messages_, context_, *context);
}

grpc::ServerBidiReactor<v1::PeerEnvelope, v1::PeerWelcome>* PeerService::Heartbeats(
    grpc::CallbackServerContext* context) {
  return Accept(heartbeats_, context_, *context);
}

}  // namespace forebay
