#include "replication/liveness.h"

#include <map>
#include <utility>

#include "runtime/mutex.h"

namespace forebay {

// Confined to the executor, once started, but for what says otherwise.
class LivenessMonitor::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Clock& clock, Executor& executor, Transport& transport, ProcessLife self,
       LivenessOptions options)
      : clock_(clock), executor_(executor), transport_(transport), self_(self), options_(options) {}

  void Start(Changed changed) {
    changed_ = std::move(changed);
    last_tick_ = clock_.Now();
    transport_.Receive(
        [weak = weak_from_this(), &executor = executor_](const NodeId& from, Message message) {
          const auto* heartbeat = std::get_if<Heartbeat>(&message);
          if (heartbeat == nullptr) return;
          executor.Post([weak, from, heartbeat = *heartbeat] {
            if (const auto impl = weak.lock()) impl->OnHeartbeat(from, heartbeat);
          });
        });
    Tick();
  }

  void SetPeers(std::vector<NodeId> peers) { peers_ = std::move(peers); }
  void Stop() { stopped_ = true; }
  Executor& executor() { return executor_; }

  // Any thread.
  bool HasAnswered(const NodeId& node, absl::Time since) const {
    MutexLock lock(mutex_);
    const auto found = last_answers_.find(node);
    return found != last_answers_.end() && found->second > since && IsLately(found->second);
  }

 private:
  struct Peer {
    ProcessLife life;
    absl::Time heard;
    bool alive = false;
  };

  void OnHeartbeat(const NodeId& from, const Heartbeat& heartbeat) {
    if (stopped_) return;
    const absl::Time now = clock_.Now();
    Peer& peer = heard_[from];
    const bool news = !peer.alive || peer.life != heartbeat.life;
    peer = {heartbeat.life, now, true};
    if (heartbeat.hears_you) {
      MutexLock lock(mutex_);
      last_answers_[from] = now;
    }
    if (news) changed_(from, heartbeat.life, true);
  }

  bool Hears(const NodeId& node) const {
    const auto found = heard_.find(node);
    return found != heard_.end() && IsLately(found->second.heard);
  }
  // Not long enough ago for two heartbeats to be missing.
  bool IsLately(absl::Time heard) const {
    return clock_.Now() - heard <= 2.5 * options_.heartbeat_every;
  }

  void Tick() {
    if (stopped_) return;
    const absl::Time now = clock_.Now();
    // If this process stood still, its peers' heartbeats may still be waiting to be read.
    const absl::Duration stall = now - last_tick_ - options_.heartbeat_every;
    last_tick_ = now;
    for (const NodeId& peer : peers_) transport_.Send(peer, Heartbeat{self_, Hears(peer)});
    for (auto& [node, peer] : heard_) {
      if (stall > options_.heartbeat_every) peer.heard += stall;
      if (!peer.alive || now - peer.heard <= options_.suspect_after) continue;
      peer.alive = false;
      changed_(node, peer.life, false);
    }
    executor_.PostAfter(options_.heartbeat_every, [weak = weak_from_this()] {
      if (const auto impl = weak.lock()) impl->Tick();
    });
  }

  Clock& clock_;
  Executor& executor_;
  Transport& transport_;
  const ProcessLife self_;
  const LivenessOptions options_;
  Changed changed_;
  std::vector<NodeId> peers_;
  std::map<NodeId, Peer> heard_;
  absl::Time last_tick_;
  bool stopped_ = false;
  mutable Mutex mutex_;
  std::map<NodeId, absl::Time> last_answers_ ABSL_GUARDED_BY(mutex_);
};

LivenessMonitor::LivenessMonitor(Clock& clock, Executor& executor, Transport& transport,
                                 ProcessLife self, LivenessOptions options)
    : impl_(std::make_shared<Impl>(clock, executor, transport, self, options)) {}

LivenessMonitor::~LivenessMonitor() { Stop(); }

void LivenessMonitor::Start(Changed changed) {
  impl_->executor().Post(
      [impl = impl_, changed = std::move(changed)]() mutable { impl->Start(std::move(changed)); });
}

void LivenessMonitor::SetPeers(std::vector<NodeId> peers) {
  impl_->executor().Post(
      [impl = impl_, peers = std::move(peers)]() mutable { impl->SetPeers(std::move(peers)); });
}

bool LivenessMonitor::HasAnswered(const NodeId& node, absl::Time since) const {
  return impl_->HasAnswered(node, since);
}

void LivenessMonitor::Stop() {
  impl_->executor().Post([impl = impl_] { impl->Stop(); });
}

}  // namespace forebay
