#include "buffer/replicator_backend.h"

#include <utility>

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

}  // namespace forebay
