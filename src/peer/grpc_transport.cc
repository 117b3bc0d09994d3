#include "peer/grpc_transport.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "peer/peer_link.h"
#include "rpc/grpc_channel.h"
#include "runtime/mutex.h"
#include "runtime/thread_executor.h"

namespace forebay {
namespace {

// What a peer that is not connected may have waiting.
constexpr size_t kUnconnectedBytesMax = 1 << 20;

}  // namespace

class GrpcTransport::Impl : public std::enable_shared_from_this<Impl> {
 public:
  explicit Impl(GrpcTransportOptions options)
      : options_(std::move(options)),
        executor_(options_.lane == PeerLane::kMessages ? "peer-messages" : "peer-heartbeats") {}

  void Receive(Handler handler) {
    MutexLock lock(mutex_);
    handler_ = std::make_shared<Handler>(std::move(handler));
  }

  void SetPeers(std::map<NodeId, std::string> addresses) {
    addresses.erase(options_.self);
    for (auto& [node, address] : addresses) {
      const auto other = options_.dial_instead.find(node);
      if (other != options_.dial_instead.end()) address = other->second;
    }
    std::vector<std::shared_ptr<PeerLink>> gone;
    {
      MutexLock lock(mutex_);
      if (stopped_) return;
      std::erase_if(closing_, [](const auto& link) { return link->IsClosed(); });
      for (auto link = links_.begin(); link != links_.end();) {
        const auto wanted = addresses.find(link->first);
        const bool keep = wanted != addresses.end() && wanted->second == link->second->address();
        if (!keep) gone.push_back(link->second);
        link = keep ? std::next(link) : links_.erase(link);
      }
      for (const auto& [node, address] : addresses) {
        if (address.empty() || links_.contains(node)) continue;
        auto link = std::make_shared<PeerLink>(LinkOptions(node, address), executor_, counters_);
        links_.emplace(node, link);
        executor_.Post([link] { link->Connect(); });
      }
      closing_.insert(closing_.end(), gone.begin(), gone.end());
    }
    for (const auto& link : gone) link->Close();
  }

  void SendAll(const NodeId& to, std::vector<Message> messages) {
    if (to == options_.self) {
      executor_.Post([this, messages = std::move(messages)]() mutable {
        for (Message& message : messages) Deliver(options_.self, std::move(message));
      });
      return;
    }
    std::shared_ptr<PeerLink> link;
    {
      MutexLock lock(mutex_);
      const auto found = links_.find(to);
      if (found != links_.end()) link = found->second;
    }
    if (link == nullptr) {
      counters_->dropped += messages.size();
      return;
    }
    link->SendAll(std::move(messages));
  }

  void Deliver(const NodeId& from, Message message) {
    std::shared_ptr<Handler> handler;
    {
      MutexLock lock(mutex_);
      if (stopped_ || handler_ == nullptr) return;
      handler = handler_;
      handlers_running_++;
    }
    counters_->received++;
    (*handler)(from, std::move(message));
    MutexLock lock(mutex_);
    handlers_running_--;
    if (stopped_) changed_.SignalAll();
  }

  void Stop() {
    std::vector<std::shared_ptr<PeerLink>> links;
    {
      MutexLock lock(mutex_);
      stopped_ = true;
      links.swap(closing_);
      for (const auto& [node, link] : links_) links.push_back(link);
      links_.clear();
    }
    for (const auto& link : links) link->Close();
    // No link starts anew once the executor has stopped.
    executor_.Stop();
    for (const auto& link : links) link->WaitUntilClosed();
    MutexLock lock(mutex_);
    while (handlers_running_ > 0) changed_.Wait(mutex_);
    handler_ = nullptr;
  }

  const NodeId& self() const { return options_.self; }

  GrpcTransportStats stats() const {
    return {counters_->sent.load(), counters_->received.load(), counters_->dropped.load()};
  }

 private:
  PeerLinkOptions LinkOptions(const NodeId& node, const std::string& address) const {
    PeerLinkOptions link;
    link.self = options_.self;
    link.peer = node;
    link.address = address;
    link.lane = options_.lane;
    link.credentials = options_.credentials;
    link.queue_bytes_max = options_.queue_bytes_max;
    link.unconnected_bytes_max = std::min(options_.queue_bytes_max, kUnconnectedBytesMax);
    return link;
  }

  const GrpcTransportOptions options_;
  // Shared with the links, which may end after this.
  const std::shared_ptr<TransportCounters> counters_ = std::make_shared<TransportCounters>();

  Mutex mutex_;
  CondVar changed_;
  // Shared with the deliveries under way.
  std::shared_ptr<Handler> handler_ ABSL_GUARDED_BY(mutex_);
  std::map<NodeId, std::shared_ptr<PeerLink>> links_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<PeerLink>> closing_ ABSL_GUARDED_BY(mutex_);
  int handlers_running_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;

  ThreadExecutor executor_;  // messages to oneself, and connecting
};

GrpcTransport::GrpcTransport(GrpcTransportOptions options)
    : impl_(std::make_shared<Impl>(std::move(options))) {}
GrpcTransport::~GrpcTransport() { impl_->Stop(); }
void GrpcTransport::Receive(Handler handler) { impl_->Receive(std::move(handler)); }
void GrpcTransport::SetPeers(std::map<NodeId, std::string> addresses) {
  impl_->SetPeers(std::move(addresses));
}
void GrpcTransport::SendAll(const NodeId& to, std::vector<Message> messages) {
  impl_->SendAll(to, std::move(messages));
}
void GrpcTransport::Stop() { impl_->Stop(); }
void GrpcTransport::Deliver(const NodeId& from, Message message) {
  impl_->Deliver(from, std::move(message));
}
const NodeId& GrpcTransport::self() const { return impl_->self(); }
GrpcTransportStats GrpcTransport::stats() const { return impl_->stats(); }

}  // namespace forebay
