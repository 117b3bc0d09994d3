// The Replicator: one node's part in keeping events safe. It runs the pure cores (owner, replica,
// sealer, repairer) against the store, the metadata and the peers.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "block/block.h"
#include "forebay/clock.h"
#include "forebay/errors.h"
#include "forebay/options.h"
#include "metadata/metadata_store.h"
#include "metadata/records.h"
#include "replication/liveness.h"
#include "replication/owner_stages.h"
#include "replication/scrubber.h"
#include "replication/transport.h"
#include "runtime/executor.h"
#include "runtime/random.h"
#include "wal/disk_usage.h"
#include "wal/wal_store.h"

namespace forebay {

struct ReplicatorOptions {
  NodeRecord self;  // the incarnation comes from the store, the life from the caller
  std::vector<StreamOptions> streams;  // created when they do not exist
  SegmentOptions segment;
  LivenessOptions liveness;
  DiskOptions disk;
  std::string data_directory;  // to name in messages
  // Appends to these go on at a full disk until only the reserve is left: what is delivered needs
  // them, and what is delivered gives space back.
  std::set<StreamId> essential_streams;
  // Blocks of one partition that are taken in and not yet committed; over it appends are refused.
  size_t window_bytes = 16 << 20;
  // Bytes on their way to one replica of one partition, not yet answered.
  size_t mirror_window_bytes = 8 << 20;
};

// Where a partition stands, as this node knows it.
struct PartitionStatus {
  PartitionId partition;
  uint64_t chain_version = 0;
  Chain chain;  // empty before the partition has an owner for the first time
  bool owned_here = false;
  Offset committed;          // when owned here
  Offset trim_floor;         // when owned here
  int under_replicated = 0;  // segments with fewer confirmed live copies than the stream asks for
  std::vector<NodeId> in_sync;  // replicas of the open segment that hold all that is committed
  // Of each sealed segment that is still needed: nodes of its list known to hold it whole. When
  // owned here; a new owner knows only after it has asked them.
  std::map<Epoch, std::vector<NodeId>> holders;
  // What the stream asks for.
  int copies = 1;
  QuorumRule asked;
};

struct NodeStatus {
  NodeRecord record;
  bool alive = false;
  bool leaving = false;                  // in maintenance, itself or its zone (MaintenanceRecord)
  std::optional<ScrubStats> scrub = {};  // as the node itself says
};

// Told to the drain (and to whoever else wants to know).
struct OwnershipListener {
  // This node owns the partition at `epoch`, and everything below `committed` is committed. Called
  // when it becomes owner (never before the takeover's swap), and again as committed grows.
  absl::AnyInvocable<void(const PartitionId&, Epoch epoch, Offset committed)> committed;
  // This node no longer owns it.
  absl::AnyInvocable<void(const PartitionId&)> lost;
  // The store has failed and refuses every write: stop the process and open the store anew.
  absl::AnyInvocable<void(const absl::Status&)> store_failed;
};

// What a Replicator works with. All must outlive it.
struct ReplicatorParts {
  Clock& clock;
  Executor& loop;   // where it works, and calls back
  Executor& reads;  // for blocking reads of the store
  WalStore& store;
  MetadataStore& metadata;
  Transport& transport;
  const LivenessMonitor& liveness;
};

// Thread-safe; works on parts.loop only, and calls back there. Stop() before destruction.
class Replicator {
 public:
  using AppendDone = absl::AnyInvocable<void(AppendResult)>;
  using ReadDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<StoredBlock>>)>;
  using StatusDone = absl::AnyInvocable<void(std::vector<PartitionStatus>)>;

  Replicator(const ReplicatorParts& parts, Random random, ReplicatorOptions options);
  ~Replicator();

  void Start(OwnershipListener listener);
  // Refuses what is new and settles what is waiting as unknown. No callback runs after `done`.
  void Stop(absl::AnyInvocable<void()> done);

  // Takes a block for a partition this node owns. UNAVAILABLE with "not the owner" otherwise.
  void Append(const PartitionId& partition, Block block, AppendDone done);

  // Committed blocks from `from` (a block may start before it; the caller cuts), from this node's
  // store or a peer's. Only on the owner. OUT_OF_RANGE: trimmed. Empty: nothing committed there
  // yet.
  void Read(const PartitionId& partition, Offset from, size_t bytes_max, ReadDone done);

  // Everything below `floor` has reached every sink and may be trimmed.
  void SetTrimFloor(const PartitionId& partition, Offset floor);

  // A client could not reach the owner it believes in (its epoch given): probe it, and take over if
  // it does not answer. OK when the attempt ended, however it ended.
  void TakeOver(const PartitionId& partition, Epoch seen_epoch,
                absl::AnyInvocable<void(absl::Status)> done);
  // Stops owning it and asks `to` (empty: the best replica) to take over. OK at once if `to` is
  // this node.
  void HandOver(const PartitionId& partition, NodeId to,
                absl::AnyInvocable<void(absl::Status)> done);
  // Hands over everything, then takes over nothing more.
  void HandOverAll(absl::AnyInvocable<void(absl::Status)> done);

  void Status(StatusDone done);
  // Runs the task in the loop, after what waits there already.
  void Post(Task task);
  // Every registered node, as last heard of. Any thread.
  std::vector<NodeStatus> Nodes() const;

  // What the scrub, and whoever else reads the store, has found in it. Any thread.
  ScrubStats Scrub() const;

  // Of the blocks that this node took in as their owner. Any thread.
  OwnerStages Stages() const;

  // How full the store's disk is now; until the first call it counts as empty.
  void SetDiskUsage(const DiskUsage& usage);

  // From the liveness monitor.
  void SetAlive(const NodeId& node, ProcessLife life, bool alive);

 private:
  class Impl;
  // Shared with tasks and callbacks under way, which may outlive this object.
  std::shared_ptr<Impl> impl_;
};

}  // namespace forebay
