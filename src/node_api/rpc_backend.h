// What the gRPC services need of the node behind them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "block/block.h"
#include "block/segment.h"
#include "forebay/errors.h"
#include "forebay/event.h"
#include "forebay/options.h"
#include "producer/ingest_link.h"
#include "records/records.h"
#include "records/unknown_name.h"
#include "replication/core/cluster_status.h"
#include "replication/core/owner_stages.h"
#include "runtime/executor.h"

namespace forebay {

// How one sink stands in one partition that this node owns.
struct SinkState {
  SinkId sink;
  PartitionId partition;
  Offset cursor;  // the next offset to deliver
  uint64_t lag_events = 0;
  absl::Duration oldest_undelivered;  // its age; zero when nothing waits
  std::string state;                  // "opening", "delivering", "waiting to retry", ...
  bool needs_operator = false;        // it waits for ever unless somebody decides; not on the wire
  std::string last_error;
  uint64_t delivered_events = 0;
  uint64_t dead_letter_events = 0;
  uint64_t set_aside_events = 0;  // passed over in blocks that an operator has set aside
};

// Every function is thread-safe and does not block; each callback runs once, on any thread.
struct RpcBackend {
  using Done = absl::AnyInvocable<void(absl::Status)>;
  using AppendDone = absl::AnyInvocable<void(AppendResult)>;
  using ReadDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<StoredBlock>>)>;
  using StatusDone = absl::AnyInvocable<void(std::vector<PartitionStatus>)>;
  // One result for each event, in their order.
  using ProduceDone = absl::AnyInvocable<void(std::vector<AppendResult>)>;
  using StreamDone = absl::AnyInvocable<void(absl::StatusOr<StreamOptions>)>;

  NodeId self;

  // The Replicator's.
  std::function<void(const PartitionId&, Block, AppendDone)> append;
  std::function<void(const PartitionId&, Offset from, size_t bytes_max, ReadDone)> read;
  std::function<void(const PartitionId&, Epoch seen, Done)> take_over;
  std::function<void(const PartitionId&, NodeId to, Done)> hand_over;
  std::function<void(Done)> hand_over_all;
  std::function<void(StatusDone)> status;
  std::function<std::vector<NodeStatus>()> nodes;
  // Runs the task after what the node is at: what comes of that can then be told in one go.
  std::function<void(Task)> post;

  // The stream's settings, or nothing if the node has not heard of it (StreamDirectory::Find):
  // which is no reason to say NOT_FOUND. FindStream is.
  std::function<std::optional<StreamOptions>(const StreamId&)> stream;
  // For what `stream` does not know (StreamDirectory::LookUp).
  std::function<void(const StreamId&, StreamDone)> look_up_stream;
  // ALREADY_EXISTS: with other settings (StreamDirectory::Create).
  std::function<void(StreamOptions, Done)> create_stream;
  // Writes it down in the metadata store; the same again is OK.
  std::function<void(MaintenanceRecord, Done)> set_maintenance;
  // On the owner: keeps the bytes of the block that holds the offset as letters in the dead-letter
  // stream, and then makes it one that every sink and tail passes over. A repeat is OK.
  // FAILED_PRECONDITION: it can be decoded. RESOURCE_EXHAUSTED: the partition has too many.
  // UNAVAILABLE, DEADLINE_EXCEEDED: it may yet be done; repeat it.
  using SetAsideDone = absl::AnyInvocable<void(absl::StatusOr<SetAsideBlock>)>;
  std::function<void(const PartitionId&, Offset, SetAsideDone)> set_aside;
  // Whether exactly this block was.
  using IsSetAsideDone = absl::AnyInvocable<void(absl::StatusOr<bool>)>;
  std::function<void(const PartitionId&, const SetAsideBlock&, IsSetAsideDone)> is_set_aside;
  // Appends through the node's own producer. The events have been validated and have ids.
  std::function<void(const StreamId&, std::vector<Event>, ProduceDone)> produce;
  // The Replicator's. May be empty: nothing is known.
  std::function<OwnerStages()> stages;
  // May be empty: no sinks.
  std::function<std::vector<SinkState>()> sinks;
};

// A stream's routes together with the addresses they stand for.
struct StreamDescription {
  StreamRoutes routes;
  std::vector<NodeStatus> nodes;
};
// The stream's settings; inside the call if the node knows them. NOT_FOUND only if the metadata
// store says so: a node that has just started, or a stream that has, is no reason. The backend
// need not outlive the call.
void FindStream(const RpcBackend& backend, const StreamId& stream, RpcBackend::StreamDone done);
// The same for one of its partitions.
void FindPartition(const RpcBackend& backend, const PartitionId& partition, RpcBackend::Done done);
// As FindStream.
void Describe(const RpcBackend& backend, const StreamId& stream,
              absl::AnyInvocable<void(absl::StatusOr<StreamDescription>)> done);

}  // namespace forebay
