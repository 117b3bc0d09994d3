// LivenessMonitor: who is there? It decides only when a takeover starts, never what is safe.
#pragma once

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "forebay/clock.h"
#include "forebay/ids.h"
#include "forebay/options.h"
#include "replication/transport.h"
#include "runtime/executor.h"

namespace forebay {

// Thread-safe. Has an executor and a transport of its own, and touches no store, so that a slow
// disk is not taken for a dead node (H10). A stall of this process is not counted against its
// peers either. All references must outlive it.
class LivenessMonitor {
 public:
  // Called on the monitor's executor when a node appears, restarts (another life), or is suspected.
  using Changed = absl::AnyInvocable<void(const NodeId&, ProcessLife, bool alive)>;

  LivenessMonitor(Clock& clock, Executor& executor, Transport& transport, ProcessLife self,
                  LivenessOptions options);
  ~LivenessMonitor();

  void Start(Changed changed);
  // The nodes to send heartbeats to.
  void SetPeers(std::vector<NodeId> peers);
  // No callback begins after the tasks now on the executor have run.
  void Stop();

  // Since then, and lately, a heartbeat has come that said that ours arrive there lately too. The
  // peer is there, however long its replies take. Any thread.
  bool HasAnswered(const NodeId& node, absl::Time since) const;

 private:
  class Impl;
  // Shared with tasks on the executor, which may run after this object is gone.
  std::shared_ptr<Impl> impl_;
};

}  // namespace forebay
