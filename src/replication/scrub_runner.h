// ScrubRunner: runs the scrubber against the store, and hands on what is damaged.
#pragma once

#include <optional>

#include "forebay/options.h"
#include "replication/core/scrubber.h"
#include "replication/loop_batch.h"
#include "replication/node_loop.h"
#include "replication/replica_host.h"
#include "wal/wal_store.h"

namespace forebay {

// Confined to the loop.
class ScrubRunner {
 public:
  // The others must outlive this object.
  ScrubRunner(NodeLoop& loop, LoopBatch& batch, WalStore& store, ReplicaHost& replicas,
              const DiskOptions& options);

  // On every tick.
  void OnTick();
  ScrubStats stats() const;

 private:
  struct Finding {
    Scrubber::Result result;
    std::optional<Damage> damage;
    FileCheck files;
  };
  // Blocking.
  Finding Read(const Scrubber::Step& step, std::optional<SegmentExtent> extent);
  void OnStep(const Scrubber::Step& step, const Finding& finding);

  NodeLoop& loop_;
  LoopBatch& batch_;
  WalStore& store_;
  ReplicaHost& replicas_;
  Scrubber scrubber_;
};

}  // namespace forebay
