// LoopBatch: what the tasks that wait in the loop decide leaves together. One message to a peer,
// one write to the store, and one wake-up of each, carry it all. The busier a node is, the more
// travels together.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "replication/core/outbox.h"
#include "replication/core/replica.h"
#include "replication/disk_watch.h"
#include "replication/node_loop.h"
#include "replication/transport.h"
#include "wal/wal_store.h"

namespace forebay {

// Confined to the loop.
class LoopBatch {
 public:
  struct Handlers {
    // A message from this node to itself.
    absl::AnyInvocable<void(Message)> own_message;
    // So many batches of the replica core's have become durable.
    absl::AnyInvocable<void(size_t batches)> durable;
  };

  // The others must outlive this object.
  LoopBatch(NodeLoop& loop, NodeId self, WalStore& store, Transport& transport, DiskWatch& disk);
  // To be called before anything is sent or written.
  void SetHandlers(Handlers handlers) { handlers_ = std::move(handlers); }

  // Runs the task when the batch ends, before its messages leave.
  void AtEnd(Task task);
  // For what need not leave at once: runs when something else goes to that node, or 4 ms later.
  void PiggybackOn(const NodeId& node, Task task);
  void Send(Outbox outbox);
  // Makes a batch of the replica core's durable.
  void Write(ReplicaCore::Writes writes);

  // The store's failure, once there is one.
  const absl::Status& store_status() const { return store_status_; }
  void SetStoreFailed(const absl::Status& status) { store_status_.Update(status); }

 private:
  struct Piggyback {
    std::vector<Task> tasks;
    bool timer_runs = false;  // at its end they run in any case
  };

  void EndSoon();
  void End();
  void DeliverOwn();
  void WriteOut();

  NodeLoop& loop_;
  const NodeId self_;
  WalStore& store_;
  Transport& transport_;
  DiskWatch& disk_;
  Handlers handlers_;
  absl::Status store_status_;
  // Of this batch.
  bool ends_soon_ = false;
  std::vector<Task> at_end_;
  std::map<NodeId, Piggyback> piggybacks_;
  std::map<NodeId, std::vector<Message>> outgoing_;
  ReplicaCore::Writes writes_;
  size_t write_batches_ = 0;  // of the replica core's
  size_t write_bytes_ = 0;    // of their blocks
};

}  // namespace forebay
