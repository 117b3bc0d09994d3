// What a Replicator is made of: its options, the parts that it works with, and its listeners.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "block/segment.h"
#include "forebay/clock.h"
#include "forebay/errors.h"
#include "forebay/options.h"
#include "metadata/metadata_store.h"
#include "records/records.h"
#include "replication/liveness.h"
#include "replication/transport.h"
#include "runtime/executor.h"
#include "wal/wal_store.h"

namespace forebay {

// How an append ended; runs once.
using AppendDone = absl::AnyInvocable<void(AppendResult)>;
using ReadDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<StoredBlock>>)>;

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

// Told to the drain (and to any other listener).
struct OwnershipListener {
  // This node owns the partition at `epoch`, and everything below `committed` is committed. Called
  // when it becomes owner (never before the takeover's swap), and again as committed grows.
  absl::AnyInvocable<void(const PartitionId&, Epoch epoch, Offset committed)> committed;
  // This node no longer owns it.
  absl::AnyInvocable<void(const PartitionId&)> lost;
  // The store has failed and refuses every write: stop the process and open the store again.
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

}  // namespace forebay
