#include "buffer/peer_book.h"

#include <utility>

#include "records/records.h"

namespace forebay {

struct PeerBook::State {
  NodeId self;
  Mutex mutex;
  Transport* heartbeats ABSL_GUARDED_BY(mutex);  // null after Stop
  LivenessMonitor* liveness ABSL_GUARDED_BY(mutex);
  std::map<NodeId, std::string> addresses ABSL_GUARDED_BY(mutex);

  State(NodeId self, Transport* heartbeats, LivenessMonitor* liveness)
      : self(std::move(self)), heartbeats(heartbeats), liveness(liveness) {}

  void Update(const std::vector<MetadataRecord>& records) {
    MutexLock lock(mutex);
    if (heartbeats == nullptr) return;
    for (const MetadataRecord& record : records) {
      if (record.version == 0) {
        addresses.erase(NodeId(record.key.substr(sizeof(kNodePrefix) - 1)));
        continue;
      }
      // A record that cannot be read is logged by the replicator.
      const absl::StatusOr<NodeRecord> node = DecodeNode(record.value);
      if (node.ok() && node->id != self) addresses[node->id] = node->address;
    }
    std::vector<NodeId> peers;
    for (const auto& [id, address] : addresses) peers.push_back(id);
    // Neither waits nor calls back; and the lock keeps the updates in order.
    heartbeats->SetPeers(addresses);
    liveness->SetPeers(std::move(peers));
  }
};

PeerBook::PeerBook(NodeId self, Transport& heartbeats, LivenessMonitor& liveness)
    : state_(std::make_shared<State>(std::move(self), &heartbeats, &liveness)) {}

void PeerBook::Watch(MetadataStore& metadata) {
  metadata.Watch(kNodePrefix, [state = state_](const std::vector<MetadataRecord>& records) {
    state->Update(records);
  });
}

void PeerBook::Stop() {
  MutexLock lock(state_->mutex);
  state_->heartbeats = nullptr;
  state_->liveness = nullptr;
}

}  // namespace forebay
