// PeerLink: what waits for one peer, and the stream that takes it there.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "forebay/ids.h"
#include "forebay/v1/peer.grpc.pb.h"
#include "peer/grpc_transport.h"
#include "replication/core/message.h"
#include "rpc/calls_in_flight.h"
#include "runtime/executor.h"
#include "runtime/mutex.h"

namespace forebay {

struct TransportCounters {
  std::atomic<uint64_t> sent{0};
  std::atomic<uint64_t> received{0};
  std::atomic<uint64_t> dropped{0};
};

struct PeerLinkOptions {
  NodeId self;
  NodeId peer;
  std::string address;
  PeerLane lane = PeerLane::kMessages;
  std::shared_ptr<const Credentials> credentials;  // null: plaintext; shared by all connections
  size_t queue_bytes_max = 0;                      // while connected: over it what comes is dropped
  size_t unconnected_bytes_max = 0;                // otherwise: over it what is oldest is dropped
};

// Thread-safe. Made with std::make_shared; tasks and streams under way share it.
class PeerLink final : public std::enable_shared_from_this<PeerLink> {
 public:
  // Connects again on `executor`, which must outlive WaitUntilClosed.
  PeerLink(PeerLinkOptions options, Executor& executor,
           std::shared_ptr<TransportCounters> counters);

  const std::string& address() const { return options_.address; }

  void Connect();
  void SendAll(std::vector<Message> messages);
  void Close();
  // After Close: until gRPC is done with it.
  void WaitUntilClosed();
  bool IsClosed();

 private:
  class Stream;
  struct Queued {
    Message message;
    size_t bytes = 0;
  };

  // Logs and counts it if it is too large for any envelope.
  bool Fits(const Queued& queued);
  // For the stream: the next messages, up to kEnvelopeBytes; false when there are none.
  bool Take(v1::PeerEnvelope& envelope);
  void OnWelcome();
  void OnStreamEnd(const absl::Status& status);
  void ConnectLater(absl::Duration delay);
  // Until it is connected: has the channel dial now instead of when gRPC's timer says so, which
  // comes late by as much as the wall clock was set back (its lock waits for a time of day).
  void NudgeLater();
  void Nudge();

  const PeerLinkOptions options_;
  Executor& executor_;
  const std::shared_ptr<TransportCounters> counters_;
  const std::shared_ptr<grpc::Channel> channel_;  // shared with the stub
  const std::unique_ptr<v1::Peer::Stub> stub_;
  // Shared with the streams it counts.
  const std::shared_ptr<CallsInFlight> in_flight_ = std::make_shared<CallsInFlight>();

  Mutex mutex_;
  std::deque<Queued> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<Stream> stream_ ABSL_GUARDED_BY(mutex_);  // gRPC's callbacks share it
  bool connected_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool nudges_ ABSL_GUARDED_BY(mutex_) = false;  // NudgeLater was called and Nudge was not
  int failures_ ABSL_GUARDED_BY(mutex_) = 0;     // since the last welcome
  std::string last_failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace forebay
