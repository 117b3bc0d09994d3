#include "node_api/rpc_backend.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace forebay {

namespace {

using DescriptionDone = absl::AnyInvocable<void(absl::StatusOr<StreamDescription>)>;

void DescribeKnown(const StreamOptions& options, std::vector<NodeStatus> nodes,
                   const std::function<void(RpcBackend::StatusDone)>& ask, DescriptionDone done) {
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
