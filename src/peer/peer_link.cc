#include "peer/peer_link.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "rpc/client_stream.h"
#include "rpc/grpc_channel.h"
#include "runtime/log.h"
#include "wire/message_wire.h"
#include "wire/protocol_version.h"
#include "wire/status_wire.h"

namespace forebay {
namespace {

constexpr absl::Duration kBackoffMin = absl::Milliseconds(20);
constexpr absl::Duration kBackoffMax = absl::Milliseconds(500);

}  // namespace

// Hello first; messages once the peer has welcomed us.
class PeerLink::Stream final : public ClientStream<v1::PeerEnvelope, v1::PeerWelcome> {
 public:
  explicit Stream(std::shared_ptr<PeerLink> link) : link_(std::move(link)) {
    // Waits for the connection, however long it takes: the channel dials again by itself,
    // or when it is nudged.
    context().set_wait_for_ready(true);
  }

 protected:
  bool Next(v1::PeerEnvelope& envelope) override {
    envelope.Clear();
    if (hello_sent_) return link_->Take(envelope);
    hello_sent_ = true;
    v1::PeerHello& hello = *envelope.mutable_hello();
    hello.set_protocol_version(kProtocolVersion);
    hello.set_from(link_->options_.self.value());
    hello.set_to(link_->options_.peer.value());
    return true;
  }
  bool OnResponse(v1::PeerWelcome& welcome) override {
    if (welcome.node() != link_->options_.peer.value()) return false;
    link_->OnWelcome();
    return true;
  }
  void OnEnd(const grpc::Status& status) override { link_->OnStreamEnd(FromGrpc(status)); }

 private:
  // Shared: the link may be closed and forgotten before gRPC is done with the stream.
  const std::shared_ptr<PeerLink> link_;
  bool hello_sent_ = false;
};

PeerLink::PeerLink(PeerLinkOptions options, Executor& executor,
                   std::shared_ptr<TransportCounters> counters)
    : options_(std::move(options)),
      executor_(executor),
      counters_(std::move(counters)),
      channel_(Dial(options_.address, options_.credentials.get(), options_.peer)),
      stub_(v1::Peer::NewStub(channel_)) {}

void PeerLink::Connect() {
  const auto stream = CallsInFlight::Track(in_flight_, new Stream(shared_from_this()));
  {
    MutexLock lock(mutex_);
    if (closed_ || stream_ != nullptr) return;
    stream_ = stream;
  }
  stream->Begin([this](grpc::ClientContext* context, auto* reactor) {
    if (options_.lane == PeerLane::kMessages) {
      stub_->async()->Exchange(context, reactor);
    } else {
      stub_->async()->Heartbeats(context, reactor);
    }
  });
  NudgeLater();
}

void PeerLink::NudgeLater() {
  {
    MutexLock lock(mutex_);
    if (closed_ || connected_ || std::exchange(nudges_, true)) return;
  }
  executor_.PostAfter(kBackoffMax, [weak = weak_from_this()] {
    if (const auto link = weak.lock()) link->Nudge();
  });
}

void PeerLink::Nudge() {
  {
    MutexLock lock(mutex_);
    nudges_ = false;
    if (closed_ || connected_) return;
  }
  grpc::experimental::ChannelResetConnectionBackoff(channel_.get());
  NudgeLater();
}

bool PeerLink::Fits(const Queued& queued) {
  if (queued.bytes <= kPeerMessageBytesMax) return true;
  counters_->dropped++;
  Log(LogLevel::kError,
      absl::StrCat("dropped a message of ", queued.bytes, " bytes to peer ", options_.peer.value(),
                   ": more than the limit of ", kPeerMessageBytesMax));
  return false;
}

void PeerLink::SendAll(std::vector<Message> messages) {
  std::vector<Queued> dropped;  // freed outside the lock
  std::shared_ptr<Stream> stream;
  {
    MutexLock lock(mutex_);
    for (Message& message : messages) {
      Queued queued{std::move(message), 0};
      queued.bytes = MessageBytes(queued.message);
      if (!Fits(queued)) continue;
      if (closed_ || (connected_ && queued_bytes_ + queued.bytes > options_.queue_bytes_max)) {
        dropped.push_back(std::move(queued));
        continue;
      }
      queued_bytes_ += queued.bytes;
      queue_.push_back(std::move(queued));
    }
    while (!connected_ && queued_bytes_ > options_.unconnected_bytes_max) {
      queued_bytes_ -= queue_.front().bytes;
      dropped.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    if (connected_) stream = stream_;
  }
  counters_->dropped += dropped.size();
  if (stream != nullptr) stream->Wake();
}

bool PeerLink::Take(v1::PeerEnvelope& envelope) {
  std::vector<Queued> taken;
  {
    MutexLock lock(mutex_);
    if (!connected_) return false;
    size_t bytes = 0;
    // A large message goes alone, so that no envelope is larger than one message may be.
    while (!queue_.empty() && (taken.empty() || bytes + queue_.front().bytes <= kEnvelopeBytes)) {
      bytes += queue_.front().bytes;
      taken.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    queued_bytes_ -= bytes;
  }
  for (const Queued& queued : taken) ToWire(queued.message, *envelope.add_messages());
  counters_->sent += taken.size();
  return !taken.empty();
}

void PeerLink::OnWelcome() {
  std::shared_ptr<Stream> stream;
  {
    MutexLock lock(mutex_);
    connected_ = true;
    failures_ = 0;
    last_failure_.clear();
    stream = stream_;
  }
  Log(LogLevel::kInfo,
      absl::StrCat("connected to peer ", options_.peer.value(), " at ", options_.address));
  if (stream != nullptr) stream->Wake();
}

void PeerLink::OnStreamEnd(const absl::Status& status) {
  std::deque<Queued> dropped;  // what was meant for the old connection is stale; freed outside
  absl::Duration wait = kBackoffMin;
  bool was_closed = false, is_news = false;
  {
    MutexLock lock(mutex_);
    stream_ = nullptr;
    if (connected_) {
      dropped.swap(queue_);
      queued_bytes_ = 0;
    }
    connected_ = false;
    was_closed = closed_;
    wait = std::min(kBackoffMax, kBackoffMin * (1 << std::min(failures_, 5)));
    failures_++;
    is_news = last_failure_ != status.message();
    last_failure_ = std::string(status.message());
  }
  counters_->dropped += dropped.size();
  if (!was_closed && is_news) {
    Log(status.code() == absl::StatusCode::kFailedPrecondition ? LogLevel::kError : LogLevel::kInfo,
        absl::StrCat("stream to peer ", options_.peer.value(), " at ", options_.address,
                     " ended, dialling again: ", status.ToString()));
  }
  if (!was_closed) ConnectLater(wait);
}

void PeerLink::ConnectLater(absl::Duration delay) {
  // Weak: a link that was closed meanwhile is forgotten.
  executor_.PostAfter(delay, [weak = weak_from_this()] {
    if (const auto link = weak.lock()) link->Connect();
  });
}

void PeerLink::Close() {
  std::shared_ptr<Stream> stream;
  {
    MutexLock lock(mutex_);
    closed_ = true;
    stream = stream_;
  }
  if (stream != nullptr) stream->End();
}

void PeerLink::WaitUntilClosed() { in_flight_->Wait(); }

bool PeerLink::IsClosed() {
  MutexLock lock(mutex_);
  return closed_ && in_flight_->empty();
}

}  // namespace forebay
