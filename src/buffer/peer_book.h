// PeerBook: tells the heartbeats who the peers are, from the metadata store's node records.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "metadata/metadata_store.h"
#include "replication/liveness.h"
#include "replication/transport.h"
#include "runtime/mutex.h"

namespace forebay {

// Thread-safe.
class PeerBook {
 public:
  // Both must live until Stop.
  PeerBook(NodeId self, Transport& heartbeats, LivenessMonitor& liveness);

  // The store must not outlive what it tells: it is destroyed before this object, or Stop is
  // called.
  void Watch(MetadataStore& metadata);
  void Stop();

 private:
  struct State;
  // Shared with the watch, which may outlive this object.
  std::shared_ptr<State> state_;
};

}  // namespace forebay
