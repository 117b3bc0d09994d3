#include "server/rpc_server.h"

#include <grpc/compression.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/grpc_ingest_link.h"
#include "rpc/connection_gate.h"
#include "rpc/grpc_channel.h"
#include "rpc/unary_request.h"
#include "runtime/log.h"
#include "runtime/random.h"
#include "runtime/real_clock.h"
#include "runtime/thread_executor.h"
#include "server/admin_service.h"
#include "server/ingest_service.h"
#include "server/peer_service.h"

namespace forebay {
namespace {

// The node itself, as its own first node to ask; without a backend all is UNAVAILABLE.
RpcBackend LocalBackend(BackendHolder& holder, const NodeId& self) {
  RpcBackend local;
  local.self = self;
  local.append = [&holder](const PartitionId& partition, Block block, RpcBackend::AppendDone done) {
    if (const auto backend = holder.Get(); backend.ok()) {
      return (*backend)->append(partition, std::move(block), std::move(done));
    } else {
      AppendResult result;
      result.outcome = Outcome::kNotStored;
      result.partition = partition;
      result.status = backend.status();
      done(std::move(result));
    }
  };
  local.take_over = [&holder](const PartitionId& partition, Epoch seen, RpcBackend::Done done) {
    const auto backend = holder.Get();
    if (!backend.ok()) return done(backend.status());
    (*backend)->take_over(partition, seen, std::move(done));
  };
  local.status = [&holder](RpcBackend::StatusDone done) {
    const auto backend = holder.Get();
    if (!backend.ok()) return done({});
    (*backend)->status(std::move(done));
  };
  local.nodes = [&holder] {
    const auto backend = holder.Get();
    return backend.ok() ? (*backend)->nodes() : std::vector<NodeStatus>();
  };
  local.stream = [&holder](const StreamId& stream) -> std::optional<StreamOptions> {
    const auto backend = holder.Get();
    if (!backend.ok()) return std::nullopt;
    return (*backend)->stream(stream);
  };
  local.look_up_stream = [&holder](const StreamId& stream, RpcBackend::StreamDone done) {
    const auto backend = holder.Get();
    if (!backend.ok()) return done(backend.status());
    FindStream(**backend, stream, std::move(done));
  };
  return local;
}

// gRPC's own messages would be the only ones in another format.
void LogOfGrpc(gpr_log_func_args* entry) {
  // What is about one call that was refused, the caller is told.
  const bool is_error = entry->severity == GPR_LOG_SEVERITY_ERROR &&
                        !absl::StartsWith(entry->message, "Compression algorithm");
  Log(is_error ? LogLevel::kWarning : LogLevel::kDebug, absl::StrCat("gRPC: ", entry->message));
}

void SetLimits(const ServerLimits& limits, grpc::ServerBuilder& builder) {
  const auto milliseconds = [](absl::Duration duration) {
    return static_cast<int>(absl::ToInt64Milliseconds(duration));
  };
  // gRPC unpacks a message before it looks at its size, and gzip packs a thousandfold. What is
  // large travels in blocks, which are compressed already.
  builder.AddChannelArgument(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
                             1 << GRPC_COMPRESS_NONE);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kHeaderBytesMax);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             static_cast<int>(limits.calls_per_connection_max));
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, milliseconds(kHandshakeLimit));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, milliseconds(kIdleLimit));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, milliseconds(kPingEvery));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, milliseconds(kPingEvery));
  builder.SetResourceQuota(grpc::ResourceQuota("forebay").Resize(kReceivedBytesMax));
}

std::string HostOf(const std::string& address) { return address.substr(0, address.rfind(':')); }

}  // namespace

class RpcServer::Impl {
 public:
  Impl(RpcServerOptions options, GrpcTransport& messages, GrpcTransport& heartbeats)
      : options_(std::move(options)),
        link_(std::make_unique<GrpcIngestLink>(worker_, LinkOptions(messages.self()))),
        relay_(clock_, worker_, *link_),
        access_(options_.credentials != nullptr, options_.access),
        peer_(messages, heartbeats, {backend_, stop_, access_, worker_, options_.hello_limit}),
        ingest_({backend_, stop_, access_, worker_, options_.hello_limit},
                {clock_, ids_, relay_, worker_}, options_.relay_limit),
        admin_({backend_, stop_, access_, worker_, options_.hello_limit}) {}

  absl::Status Listen() {
    auto gate = ConnectionGate::Listen(options_.listen, options_.limits.connections_max);
    if (!gate.ok()) return gate.status();
    gpr_set_log_function(LogOfGrpc);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        options_.credentials == nullptr ? grpc::InsecureServerCredentials()
                                        : options_.credentials->server());
    builder.SetMaxReceiveMessageSize(kReceiveBytesMax);
    builder.SetMaxSendMessageSize(-1);
    SetLimits(options_.limits, builder);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    // Our own clients ping every 2 s (grpc_channel.cc), so do not take that for abuse.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 500);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
    builder.RegisterService(&peer_);
    builder.RegisterService(&ingest_);
    builder.RegisterService(&admin_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return absl::InternalError("gRPC does not start; its log says why");
    gate_ = *std::move(gate);
    address_ = absl::StrCat(HostOf(options_.listen), ":", gate_->port());
    server_->GetHealthCheckService()->SetServingStatus(false);
    gate_->Start([this](int descriptor) {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
      connection.fd = descriptor;
      acceptor_->HandleNewConnection(&connection);
    });
    return absl::OkStatus();
  }

  const std::string& address() const { return address_; }
  ConnectionStats connections() const { return gate_->stats(); }

  void Serve(RpcBackend backend) {
    backend_.Set(std::move(backend));
    for (const char* name : {"", "forebay.v1.Ingest", "forebay.v1.Admin", "forebay.v1.Peer"}) {
      server_->GetHealthCheckService()->SetServingStatus(name, true);
    }
  }

  void Quiesce() {
    server_->GetHealthCheckService()->SetServingStatus(false);
    backend_.Clear();
  }

  void Shutdown(absl::Duration deadline) {
    if (server_ == nullptr) return;
    Quiesce();
    gate_->Stop();  // what came in between would be nobody's
    stop_.Raise();
    server_->Shutdown(DeadlineIn(deadline));
    server_->Wait();
    // Appends that are still being relayed go with it.
    worker_.Stop();
    link_ = nullptr;
    server_ = nullptr;
  }

 private:
  GrpcIngestLinkOptions LinkOptions(const NodeId& self) {
    GrpcIngestLinkOptions link;
    link.dial_instead = options_.dial_instead;
    link.credentials = options_.credentials;
    link.local = LocalBackend(backend_, self);
    return link;
  }

  const RpcServerOptions options_;
  RealClock clock_;
  EventIds ids_{Random::FromSystem().HexId()};  // used on worker_ only
  BackendHolder backend_;
  StopSignal stop_;
  ThreadExecutor worker_{"rpc-work"};
  std::unique_ptr<GrpcIngestLink> link_;
  BlockRelay relay_;
  const Access access_;
  PeerService peer_;
  IngestService ingest_;
  AdminService admin_;
  std::unique_ptr<ConnectionGate> gate_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Listen(RpcServerOptions options,
                                                             GrpcTransport& messages,
                                                             GrpcTransport& heartbeats) {
  auto impl = std::make_unique<Impl>(std::move(options), messages, heartbeats);
  if (absl::Status status = impl->Listen(); !status.ok()) return status;
  return std::unique_ptr<RpcServer>(new RpcServer(std::move(impl)));
}

RpcServer::RpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RpcServer::~RpcServer() { Shutdown(absl::ZeroDuration()); }
const std::string& RpcServer::address() const { return impl_->address(); }
ConnectionStats RpcServer::connections() const { return impl_->connections(); }
void RpcServer::Serve(RpcBackend backend) { impl_->Serve(std::move(backend)); }
void RpcServer::Quiesce() { impl_->Quiesce(); }
void RpcServer::Shutdown(absl::Duration deadline) { impl_->Shutdown(deadline); }

}  // namespace forebay
