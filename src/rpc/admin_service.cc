#include "rpc/admin_service.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "rpc/admin_wire.h"
#include "rpc/unary_call.h"

namespace forebay {
namespace {

// Runs `start` with the backend and a callback that ends the call with a status, if the caller is
// `allowed`.
template <typename Response, typename Start>
grpc::ServerUnaryReactor* EndWithStatus(ServiceContext context, absl::Status allowed,
                                        Response* response, Start start) {
  const auto call = UnaryCall<Response>::Make(response);
  const auto backend = context.backend.Get();
  if (allowed.ok()) allowed = backend.status();
  if (allowed.ok()) {
    start(*backend, [call](const absl::Status& status) { call->End(status); });
  } else {
    call->End(allowed);
  }
  return call.get();
}

// The same for one partition as this node sees it, if it exists.
using WithPartition = absl::AnyInvocable<void(const PartitionStatus&, RpcBackend::Done)>;
void FindPartition(const BackendHolder::Held& backend, const PartitionId& partition,
                   RpcBackend::Done done, WithPartition then) {
  const std::optional<StreamOptions> stream = backend->stream(partition.stream);
  if (!stream.has_value()) return done(NoSuchStream(partition.stream));
  if (partition.index >= stream->partitions) {
    return done(NoSuchPartition(*stream, partition.index));
  }
  backend->status([partition, done = std::move(done),
                   then = std::move(then)](const std::vector<PartitionStatus>& statuses) mutable {
    for (const PartitionStatus& status : statuses) {
      if (status.partition == partition) return then(status, std::move(done));
    }
    PartitionStatus unheard_of;
    unheard_of.partition = partition;
    then(unheard_of, std::move(done));
  });
}

std::string AddressOf(const RpcBackend& backend, const NodeId& node) {
  for (const NodeStatus& status : backend.nodes()) {
    if (status.record.id == node) return status.record.address;
  }
  return "an unknown address";
}

absl::Status NotTheOwner(const RpcBackend& backend, const PartitionStatus& status) {
  if (status.chain.segments.empty()) {
    return absl::UnavailableError(absl::StrCat(status.partition.ToString(), " has no owner yet"));
  }
  const NodeId& owner = status.chain.segments.back().owner;
  return absl::FailedPreconditionError(
      absl::StrCat("this node does not own ", status.partition.ToString(), ": ask its owner '",
                   owner.value(), "' at ", AddressOf(backend, owner)));
}

// NOT_FOUND: the node has not heard of what the record names.
absl::Status Knows(const RpcBackend& backend, const MaintenanceRecord& record) {
  const std::vector<NodeStatus> nodes = backend.nodes();
  const auto is_there = [&](const std::string& name, MaintenanceRecord::Of of) {
    return std::any_of(nodes.begin(), nodes.end(), [&](const NodeStatus& node) {
      return name == (of == MaintenanceRecord::Of::kZone ? node.record.zone.value()
                                                         : node.record.id.value());
    });
  };
  const bool is_zone = record.of == MaintenanceRecord::Of::kZone;
  if (!is_there(record.name, record.of)) {
    return absl::NotFoundError(absl::StrCat("there is no ", is_zone ? "zone" : "node", " '",
                                            record.name,
                                            "': see Admin.Status for those there are"));
  }
  if (!record.replacement.empty() &&
      !is_there(record.replacement.value(), MaintenanceRecord::Of::kNode)) {
    return absl::NotFoundError(absl::StrCat("there is no node '", record.replacement.value(),
                                            "' to replace '", record.name, "'"));
  }
  return absl::OkStatus();
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::Status(grpc::CallbackServerContext* context,
                                               const v1::StatusRequest* /*request*/,
                                               v1::StatusResponse* response) {
  const auto call = UnaryCall<v1::StatusResponse>::Make(response);
  const auto backend = context_.backend.Get();
  const absl::StatusOr<Caller> caller = context_.access.Recognize(*context);
  if (!caller.ok() || !backend.ok()) {
    call->End(caller.ok() ? backend.status() : caller.status());
    return call.get();
  }
  (*backend)->status(
      [call, backend = *backend, caller = *caller](const std::vector<PartitionStatus>& partitions) {
        const std::vector<NodeStatus> nodes = backend->nodes();
        const std::vector<SinkState> sinks =
            backend->sinks == nullptr ? std::vector<SinkState>() : backend->sinks();
        call->Answer([&](v1::StatusResponse& out) {
          out.set_node(backend->self.value());
          for (const NodeStatus& node : nodes) ToWire(node, *out.add_nodes());
          if (backend->stages != nullptr) ToWire(backend->stages(), out);
          for (const PartitionStatus& partition : partitions) {
            if (caller.MaySee(partition.partition.stream)) ToWire(partition, *out.add_partitions());
          }
          for (const SinkState& sink : sinks) {
            if (caller.MaySee(sink.partition.stream)) ToWire(sink, *out.add_sinks());
          }
        });
      });
  return call.get();
}

grpc::ServerUnaryReactor* AdminService::TakeOver(grpc::CallbackServerContext* context,
                                                 const v1::AdminTakeOverRequest* request,
                                                 v1::AdminTakeOverResponse* response) {
  const PartitionId partition{StreamId(request->stream()), request->partition()};
  return EndWithStatus(context_, context_.access.Check(*context, Role::kAdmin, partition.stream),
                       response, [&](const auto& backend, RpcBackend::Done done) {
                         FindPartition(
                             backend, partition, std::move(done),
                             [backend](const PartitionStatus& status, RpcBackend::Done end) {
                               const Epoch seen = status.chain.segments.empty()
                                                      ? Epoch()
                                                      : status.chain.segments.back().epoch;
                               backend->take_over(status.partition, seen, std::move(end));
                             });
                       });
}

grpc::ServerUnaryReactor* AdminService::Move(grpc::CallbackServerContext* context,
                                             const v1::MoveRequest* request,
                                             v1::MoveResponse* response) {
  const PartitionId partition{StreamId(request->stream()), request->partition()};
  const NodeId to(request->to());
  return EndWithStatus(
      context_, context_.access.Check(*context, Role::kAdmin, partition.stream), response,
      [&](const auto& backend, RpcBackend::Done done) {
        const std::vector<NodeStatus> nodes = backend->nodes();
        const bool is_known = std::any_of(nodes.begin(), nodes.end(), [&](const NodeStatus& node) {
          return node.record.id == to;
        });
        if (!to.empty() && !is_known) {
          return done(absl::NotFoundError(absl::StrCat("there is no node '", to.value(),
                                                       "': see Admin.Status for those there are")));
        }
        FindPartition(backend, partition, std::move(done),
                      [backend, to](const PartitionStatus& status, RpcBackend::Done end) {
                        if (status.owned_here) {
                          return backend->hand_over(status.partition, to, std::move(end));
                        }
                        end(NotTheOwner(*backend, status));
                      });
      });
}

grpc::ServerUnaryReactor* AdminService::DrainNode(grpc::CallbackServerContext* context,
                                                  const v1::DrainNodeRequest* request,
                                                  v1::DrainNodeResponse* response) {
  const NodeId node(request->node());
  return EndWithStatus(context_, context_.access.CheckAdmin(*context), response,
                       [&](const auto& backend, RpcBackend::Done done) {
                         if (node.empty() || node == backend->self)
                           return backend->hand_over_all(std::move(done));
                         done(absl::FailedPreconditionError(
                             absl::StrCat("this is node '", backend->self.value(), "': ask node '",
                                          node.value(), "' at ", AddressOf(*backend, node))));
                       });
}

grpc::ServerUnaryReactor* AdminService::SetMaintenance(grpc::CallbackServerContext* context,
                                                       const v1::SetMaintenanceRequest* request,
                                                       v1::SetMaintenanceResponse* response) {
  const absl::StatusOr<MaintenanceRecord> record = FromWire(*request);
  return EndWithStatus(context_, context_.access.CheckAdmin(*context), response,
                       [&](const auto& backend, RpcBackend::Done done) {
                         if (!record.ok()) return done(record.status());
                         // What is called off may be gone already; only who is there can leave or
                         // replace another.
                         const absl::Status known =
                             record->leaving ? Knows(*backend, *record) : absl::OkStatus();
                         if (!known.ok()) return done(known);
                         backend->set_maintenance(*record, std::move(done));
                       });
}

grpc::ServerUnaryReactor* AdminService::SetAside(grpc::CallbackServerContext* context,
                                                 const v1::SetAsideRequest* request,
                                                 v1::SetAsideResponse* response) {
  const PartitionId partition{StreamId(request->stream()), request->partition()};
  const Offset offset(request->offset());
  const auto call = UnaryCall<v1::SetAsideResponse>::Make(response);
  const auto backend = context_.backend.Get();
  absl::Status allowed = context_.access.Check(*context, Role::kAdmin, partition.stream);
  if (allowed.ok()) allowed = backend.status();
  if (!allowed.ok()) {
    call->End(allowed);
    return call.get();
  }
  FindPartition(
      *backend, partition, [call](const absl::Status& status) { call->End(status); },
      [call, backend = *backend, offset](const PartitionStatus& status, RpcBackend::Done end) {
        if (!status.owned_here) return end(NotTheOwner(*backend, status));
        backend->set_aside(status.partition, offset,
                           [call](const absl::StatusOr<SetAsideBlock>& block) {
                             if (!block.ok()) return call->End(block.status());
                             call->Answer([&](v1::SetAsideResponse& out) {
                               out.set_first(block->first.value());
                               out.set_end(block->end.value());
                             });
                           });
      });
  return call.get();
}

grpc::ServerUnaryReactor* AdminService::CreateStream(grpc::CallbackServerContext* context,
                                                     const v1::CreateStreamRequest* request,
                                                     v1::CreateStreamResponse* response) {
  const absl::StatusOr<StreamOptions> options = FromWire(*request);
  return EndWithStatus(context_,
                       context_.access.Check(*context, Role::kAdmin, StreamId(request->name())),
                       response, [&](const auto& backend, RpcBackend::Done done) {
                         if (!options.ok()) return done(options.status());
                         backend->create_stream(*options, std::move(done));
                       });
}

}  // namespace forebay
