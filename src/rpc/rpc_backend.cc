#include "rpc/rpc_backend.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace forebay {

RpcBackend BackendOf(const NodeId& self, Replicator& replicator) {
  RpcBackend backend;
  backend.self = self;
  backend.append = [&replicator](const PartitionId& partition, Block block,
                                 Replicator::AppendDone done) {
    replicator.Append(partition, std::move(block), std::move(done));
  };
  backend.read = [&replicator](const PartitionId& partition, Offset from, size_t bytes_max,
                               Replicator::ReadDone done) {
    replicator.Read(partition, from, bytes_max, std::move(done));
  };
  backend.take_over = [&replicator](const PartitionId& partition, Epoch seen,
                                    RpcBackend::Done done) {
    replicator.TakeOver(partition, seen, std::move(done));
  };
  backend.hand_over = [&replicator](const PartitionId& partition, NodeId to,
                                    RpcBackend::Done done) {
    replicator.HandOver(partition, std::move(to), std::move(done));
  };
  backend.hand_over_all = [&replicator](RpcBackend::Done done) {
    replicator.HandOverAll(std::move(done));
  };
  backend.status = [&replicator](Replicator::StatusDone done) {
    replicator.Status(std::move(done));
  };
  backend.post = [&replicator](Task task) { replicator.Post(std::move(task)); };
  backend.nodes = [&replicator] { return replicator.Nodes(); };
  backend.stages = [&replicator] { return replicator.Stages(); };
  return backend;
}

absl::Status NoSuchStream(const StreamId& stream) {
  return absl::NotFoundError(
      absl::StrCat("there is no stream '", Shown(stream.value()),
                   "': correct the name, list it under 'streams' in the nodes' configuration, or "
                   "create it with Admin.CreateStream"));
}

absl::Status NoSuchPartition(const StreamOptions& stream, uint32_t partition) {
  return absl::NotFoundError(absl::StrCat("stream '", stream.name.value(), "' has partitions 0 to ",
                                          stream.partitions - 1, ", not ", partition));
}

namespace {

using DescriptionDone = absl::AnyInvocable<void(absl::StatusOr<StreamDescription>)>;

void DescribeKnown(const StreamOptions& options, std::vector<NodeStatus> nodes,
                   const std::function<void(Replicator::StatusDone)>& ask, DescriptionDone done) {
  StreamDescription description;
  description.routes.stream = options.name;
  description.routes.codec = options.codec;
  description.routes.routes.resize(options.partitions);
  for (uint32_t i = 0; i < options.partitions; i++) {
    description.routes.routes[i].partition = {options.name, i};
  }
  description.nodes = std::move(nodes);
  ask([description = std::move(description),
       done = std::move(done)](std::vector<PartitionStatus> statuses) mutable {
    std::vector<Route>& routes = description.routes.routes;
    for (const PartitionStatus& status : statuses) {
      if (status.partition.stream != description.routes.stream ||
          status.partition.index >= routes.size() || status.chain.segments.empty()) {
        continue;
      }
      const Segment& open = status.chain.segments.back();
      Route& route = routes[status.partition.index];
      route.epoch = open.epoch;
      route.owner = open.owner;
      for (const Replica& replica : open.replicas) {
        route.replicas.push_back(replica.node);
        if (replica.node == open.owner) route.owner_zone = replica.zone;
      }
    }
    done(std::move(description));
  });
}

}  // namespace

void FindStream(const RpcBackend& backend, const StreamId& stream, RpcBackend::StreamDone done) {
  if (std::optional<StreamOptions> known = backend.stream(stream); known.has_value()) {
    return done(*std::move(known));
  }
  backend.look_up_stream(stream, std::move(done));
}

void FindPartition(const RpcBackend& backend, const PartitionId& partition, RpcBackend::Done done) {
  FindStream(backend, partition.stream,
             [partition, done = std::move(done)](absl::StatusOr<StreamOptions> stream) mutable {
               if (stream.ok() && partition.index >= stream->partitions) {
                 return done(NoSuchPartition(*stream, partition.index));
               }
               done(stream.status());
             });
}

void Describe(const RpcBackend& backend, const StreamId& stream, DescriptionDone done) {
  FindStream(backend, stream,
             [status = backend.status, nodes = backend.nodes,
              done = std::move(done)](absl::StatusOr<StreamOptions> options) mutable {
               if (!options.ok()) return done(options.status());
               DescribeKnown(*options, nodes(), status, std::move(done));
             });
}

}  // namespace forebay
