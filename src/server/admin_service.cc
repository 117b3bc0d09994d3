#include "server/admin_service.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/printable.h"
#include "base/status.h"
#include "rpc/unary_call.h"
#include "wire/admin_wire.h"

namespace forebay {
namespace {

struct RawUnary {
  const grpc::ByteBuffer* in;
  grpc::ByteBuffer* out;
};

// Runs `start` with the request, the backend and the call, if `allow` says OK of the request.
template <typename Request, typename Response, typename Allow, typename Start>
grpc::ServerUnaryReactor* RunAllowed(const ServiceContext& context, RawUnary raw, Allow allow,
                                     Start start) {
  return RunUnary<Request, Response>(
      raw.in, raw.out, [&](const std::unique_ptr<Request>& request, const auto& call) {
        absl::Status allowed = allow(*request);
        const auto backend = context.backend.Get();
        if (allowed.ok()) allowed = backend.status();
        if (!allowed.ok()) return call->End(allowed);
        start(*request, *backend, call);
      });
}

// The same for a call that ends with a status alone: `start` gets the callback that ends it.
template <typename Request, typename Response, typename Allow, typename Start>
grpc::ServerUnaryReactor* EndWithStatus(const ServiceContext& context, RawUnary raw, Allow allow,
                                        Start start) {
  return RunAllowed<Request, Response>(
      context, raw, allow, [&](const Request& request, const auto& backend, const auto& call) {
        start(request, backend, [call](const absl::Status& status) { call->End(status); });
      });
}

// A node that has heard of no node has only just started.
absl::Status HasHeardOf(const std::vector<NodeStatus>& nodes) {
  if (!nodes.empty()) return absl::OkStatus();
  return absl::UnavailableError("this node has not heard of any node yet: ask again");
}

// Runs `then` with the partition as this node sees it, if it exists; otherwise `done` says why not.
using WithPartition = absl::AnyInvocable<void(const PartitionStatus&, RpcBackend::Done)>;
void WithStatusOf(const PartitionId& partition, const std::vector<PartitionStatus>& statuses,
                  RpcBackend::Done done, WithPartition then) {
  for (const PartitionStatus& status : statuses) {
    if (status.partition == partition) return then(status, std::move(done));
  }
  PartitionStatus unheard_of;
  unheard_of.partition = partition;
  then(unheard_of, std::move(done));
}
void OnPartition(const BackendHolder::Held& backend, const PartitionId& partition,
                 RpcBackend::Done done, WithPartition then) {
  FindPartition(*backend, partition,
                [backend, partition, done = std::move(done),
                 then = std::move(then)](const absl::Status& found) mutable {
                  if (!found.ok()) return done(found);
                  backend->status([partition, done = std::move(done), then = std::move(then)](
                                      const std::vector<PartitionStatus>& statuses) mutable {
                    WithStatusOf(partition, statuses, std::move(done), std::move(then));
                  });
                });
}

std::string AddressOf(const RpcBackend& backend, const NodeId& node) {
  for (const NodeStatus& status : backend.nodes()) {
    if (status.record.id == node) return status.record.address;
  }
  return "an unknown address";
}

// NOT_FOUND: the node has not heard of what the record names.
absl::Status Knows(const RpcBackend& backend, const MaintenanceRecord& record) {
  const std::vector<NodeStatus> nodes = backend.nodes();
  FOREBAY_RETURN_IF_ERROR(HasHeardOf(nodes));
  const auto is_there = [&](const std::string& name, MaintenanceRecord::Of of) {
    return std::any_of(nodes.begin(), nodes.end(), [&](const NodeStatus& node) {
      return name == (of == MaintenanceRecord::Of::kZone ? node.record.zone.value()
                                                         : node.record.id.value());
    });
  };
  const bool is_zone = record.of == MaintenanceRecord::Of::kZone;
  if (!is_there(record.name, record.of)) {
    return absl::NotFoundError(absl::StrCat("there is no ", is_zone ? "zone" : "node", " '",
                                            Shown(record.name),
                                            "': see Admin.Status for those there are"));
  }
  if (!record.replacement.empty() &&
      !is_there(record.replacement.value(), MaintenanceRecord::Of::kNode)) {
    return absl::NotFoundError(absl::StrCat("there is no node '", Shown(record.replacement.value()),
                                            "' to replace '", Shown(record.name), "'"));
  }
  return absl::OkStatus();
}

absl::Status KnowsNode(const RpcBackend& backend, const NodeId& to) {
  const std::vector<NodeStatus> nodes = backend.nodes();
  if (to.empty()) return absl::OkStatus();
  FOREBAY_RETURN_IF_ERROR(HasHeardOf(nodes));
  const bool is_known = std::any_of(nodes.begin(), nodes.end(),
                                    [&](const NodeStatus& node) { return node.record.id == to; });
  if (is_known) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("there is no node '", Shown(to.value()),
                                          "': see Admin.Status for those there are"));
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

void ToWire(const RpcBackend& backend, const Caller& caller,
            const std::vector<PartitionStatus>& partitions, v1::StatusResponse& out) {
  out.set_node(backend.self.value());
  for (const NodeStatus& node : backend.nodes()) forebay::ToWire(node, *out.add_nodes());
  if (backend.stages != nullptr) forebay::ToWire(backend.stages(), out);
  for (const PartitionStatus& partition : partitions) {
    if (caller.MaySee(partition.partition.stream)) {
      forebay::ToWire(partition, *out.add_partitions());
    }
  }
  if (backend.sinks == nullptr) return;
  for (const SinkState& sink : backend.sinks()) {
    if (caller.MaySee(sink.partition.stream)) forebay::ToWire(sink, *out.add_sinks());
  }
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::Status(grpc::CallbackServerContext* context,
                                               const grpc::ByteBuffer* in, grpc::ByteBuffer* out) {
  return RunUnary<v1::StatusRequest, v1::StatusResponse>(
      in, out, [&](const auto& /*request*/, const auto& call) {
        const auto backend = context_.backend.Get();
        const absl::StatusOr<Caller> caller = context_.access.Recognize(*context);
        if (!caller.ok()) return call->End(caller.status());
        if (!backend.ok()) return call->End(backend.status());
        (*backend)->status([call, backend = *backend,
                            caller = *caller](const std::vector<PartitionStatus>& partitions) {
          call->Answer([&](v1::StatusResponse& out) { ToWire(*backend, caller, partitions, out); });
        });
      });
}

grpc::ServerUnaryReactor* AdminService::TakeOver(grpc::CallbackServerContext* context,
                                                 const grpc::ByteBuffer* in,
                                                 grpc::ByteBuffer* out) {
  return EndWithStatus<v1::AdminTakeOverRequest, v1::AdminTakeOverResponse>(
      context_, {in, out},
      [&](const auto& request) {
        return context_.access.Check(*context, Role::kAdmin, StreamId(request.stream()));
      },
      [&](const auto& request, const auto& backend, RpcBackend::Done done) {
        OnPartition(backend, {StreamId(request.stream()), request.partition()}, std::move(done),
                    [backend](const PartitionStatus& status, RpcBackend::Done end) {
                      const Epoch seen = status.chain.segments.empty()
                                             ? Epoch()
                                             : status.chain.segments.back().epoch;
                      backend->take_over(status.partition, seen, std::move(end));
                    });
      });
}

grpc::ServerUnaryReactor* AdminService::Move(grpc::CallbackServerContext* context,
                                             const grpc::ByteBuffer* in, grpc::ByteBuffer* out) {
  return EndWithStatus<v1::MoveRequest, v1::MoveResponse>(
      context_, {in, out},
      [&](const auto& request) {
        return context_.access.Check(*context, Role::kAdmin, StreamId(request.stream()));
      },
      [&](const auto& request, const auto& backend, RpcBackend::Done done) {
        const NodeId to(request.to());
        if (absl::Status known = KnowsNode(*backend, to); !known.ok()) return done(known);
        OnPartition(backend, {StreamId(request.stream()), request.partition()}, std::move(done),
                    [backend, to](const PartitionStatus& status, RpcBackend::Done end) {
                      if (!status.owned_here) return end(NotTheOwner(*backend, status));
                      backend->hand_over(status.partition, to, std::move(end));
                    });
      });
}

grpc::ServerUnaryReactor* AdminService::DrainNode(grpc::CallbackServerContext* context,
                                                  const grpc::ByteBuffer* in,
                                                  grpc::ByteBuffer* out) {
  return EndWithStatus<v1::DrainNodeRequest, v1::DrainNodeResponse>(
      context_, {in, out},
      [&](const auto& /*request*/) { return context_.access.CheckAdmin(*context); },
      [&](const auto& request, const auto& backend, RpcBackend::Done done) {
        const NodeId node(request.node());
        if (node.empty() || node == backend->self) return backend->hand_over_all(std::move(done));
        done(absl::FailedPreconditionError(absl::StrCat("this is node '", backend->self.value(),
                                                        "': ask node '", Shown(node.value()),
                                                        "' at ", AddressOf(*backend, node))));
      });
}

grpc::ServerUnaryReactor* AdminService::SetMaintenance(grpc::CallbackServerContext* context,
                                                       const grpc::ByteBuffer* in,
                                                       grpc::ByteBuffer* out) {
  return EndWithStatus<v1::SetMaintenanceRequest, v1::SetMaintenanceResponse>(
      context_, {in, out},
      [&](const auto& /*request*/) { return context_.access.CheckAdmin(*context); },
      [&](const auto& request, const auto& backend, RpcBackend::Done done) {
        const absl::StatusOr<MaintenanceRecord> record = FromWire(request);
        if (!record.ok()) return done(record.status());
        // What is called off may be gone already; only who is there can leave or replace another.
        const absl::Status known = record->leaving ? Knows(*backend, *record) : absl::OkStatus();
        if (!known.ok()) return done(known);
        backend->set_maintenance(*record, std::move(done));
      });
}

grpc::ServerUnaryReactor* AdminService::SetAside(grpc::CallbackServerContext* context,
                                                 const grpc::ByteBuffer* in,
                                                 grpc::ByteBuffer* out) {
  return RunAllowed<v1::SetAsideRequest, v1::SetAsideResponse>(
      context_, {in, out},
      [&](const auto& request) {
        return context_.access.Check(*context, Role::kAdmin, StreamId(request.stream()));
      },
      [&](const auto& request, const auto& backend, const auto& call) {
        OnPartition(
            backend, {StreamId(request.stream()), request.partition()},
            [call](const absl::Status& status) { call->End(status); },
            [call, backend, offset = Offset(request.offset())](const PartitionStatus& status,
                                                               RpcBackend::Done end) {
              if (!status.owned_here) return end(NotTheOwner(*backend, status));
              backend->set_aside(status.partition, offset,
                                 [call](const absl::StatusOr<SetAsideBlock>& block) {
                                   if (!block.ok()) return call->End(block.status());
                                   call->Answer([&](v1::SetAsideResponse& response) {
                                     response.set_first(block->first.value());
                                     response.set_end(block->end.value());
                                   });
                                 });
            });
      });
}

grpc::ServerUnaryReactor* AdminService::CreateStream(grpc::CallbackServerContext* context,
                                                     const grpc::ByteBuffer* in,
                                                     grpc::ByteBuffer* out) {
  return EndWithStatus<v1::CreateStreamRequest, v1::CreateStreamResponse>(
      context_, {in, out},
      [&](const auto& request) {
        return context_.access.Check(*context, Role::kAdmin, StreamId(request.name()));
      },
      [&](const auto& request, const auto& backend, RpcBackend::Done done) {
        const absl::StatusOr<StreamOptions> options = FromWire(request);
        if (!options.ok()) return done(options.status());
        backend->create_stream(*options, std::move(done));
      });
}

}  // namespace forebay
