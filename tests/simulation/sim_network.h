// The network between simulated nodes: it may lose, repeat, delay and reorder messages, and links
// may be cut, in one direction or both.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "replication/transport.h"
#include "runtime/random.h"
#include "support/sim_executor.h"

namespace forebay {

// What can happen to the messages of one direction of one link.
struct LinkFaults {
  double lose = 0;
  double repeat = 0;   // a second copy comes up to 2 s later
  double reorder = 0;  // comes up to 20 x delay_max later, without keeping the order
  double linger = 0;   // comes 1 to 20 s later: what a returning node may still hear
  absl::Duration delay_min = absl::Microseconds(100);
  absl::Duration delay_max = absl::Milliseconds(2);
};

// What an observer is told of a message that is sent.
inline constexpr char kSent[] = "sent";

// Counted to show that the faults really happen.
struct NetworkCounters {
  uint64_t sent = 0, delivered = 0, lost = 0, repeated = 0, reordered = 0, lingered = 0, cut = 0;
};

enum class Lane { kMain, kHeartbeat };

class SimTransport;

// Confined to the simulation's thread.
class SimNetwork {
 public:
  using Observer = std::function<void(const char* what, const NodeId& from, const NodeId& to,
                                      const Message& message)>;

  SimNetwork(Simulation& simulation, Random random) : simulation_(simulation), random_(random) {}

  // Of one direction. Without this a link only delays.
  void SetFaults(const NodeId& from, const NodeId& to, LinkFaults faults) {
    links_[{from, to}].faults = faults;
  }
  // Nothing gets through from now on, nor what is on its way.
  void Cut(const NodeId& from, const NodeId& to) { links_[{from, to}].cut = true; }
  void Join(const NodeId& from, const NodeId& to) { links_[{from, to}].cut = false; }
  bool IsCut(const NodeId& from, const NodeId& to) const {
    auto link = links_.find({from, to});
    return link != links_.end() && link->second.cut;
  }
  // All links are well again; what is on its way still comes.
  void Heal() { links_.clear(); }
  // Sees every message when it is sent, and again when it is delivered or lost.
  void Observe(Observer observer) { observer_ = std::move(observer); }

  // The fate of something that is sent now and needs no order: when it arrives, or nothing.
  std::optional<absl::Duration> Fate(const NodeId& from, const NodeId& to);
  const NetworkCounters& counters() const { return counters_; }

  // For SimTransport.
  void Attach(const NodeId& node, Lane lane, SimTransport* transport) {
    endpoints_[{node, lane}] = transport;
  }
  void Detach(const NodeId& node, Lane lane, SimTransport* transport) {
    auto at = endpoints_.find({node, lane});
    if (at != endpoints_.end() && at->second == transport) endpoints_.erase(at);
  }
  void Send(Lane lane, const NodeId& from, const NodeId& to, Message message);

 private:
  struct Link {
    LinkFaults faults;
    bool cut = false;
  };

  void Arrive(Lane lane, const NodeId& from, const NodeId& to, Message message);
  absl::Duration Delay(const LinkFaults& faults) {
    return random_.Between(faults.delay_min, faults.delay_max + absl::Nanoseconds(1));
  }
  void Saw(const char* what, const NodeId& from, const NodeId& to, const Message& message) {
    if (observer_) observer_(what, from, to, message);
  }

  Simulation& simulation_;
  Random random_;
  Observer observer_;
  NetworkCounters counters_;
  std::map<std::pair<NodeId, NodeId>, Link> links_;
  std::map<std::pair<NodeId, Lane>, SimTransport*> endpoints_;
  // When the last message in order arrives.
  std::map<std::tuple<Lane, NodeId, NodeId>, absl::Time> arrivals_;
};

// One lane of one process life. Its handler runs on `executor`, so a frozen process reads its
// messages after the thaw.
class SimTransport final : public Transport {
 public:
  SimTransport(SimNetwork& network, NodeId self, Lane lane, Executor& executor)
      : network_(network), self_(std::move(self)), lane_(lane), executor_(executor) {
    network_.Attach(self_, lane_, this);
  }
  ~SimTransport() override { network_.Detach(self_, lane_, this); }

  // Changes each message before it is sent, and before it is read.
  void Translate(std::function<void(Message&)> translate) { translate_ = std::move(translate); }

  void Receive(Handler handler) override {
    receiver_ = std::make_shared<Receiver>();
    receiver_->handler = std::move(handler);
  }
  void SetPeers(std::map<NodeId, std::string> addresses) override { peers_ = std::move(addresses); }
  void SendAll(const NodeId& to, std::vector<Message> messages) override {
    if (stopped_ || (to != self_ && !peers_.contains(to))) return;
    for (Message& message : messages) {
      if (translate_) translate_(message);
      network_.Send(lane_, self_, to, std::move(message));
    }
  }
  void Stop() override {
    stopped_ = true;
    if (receiver_) receiver_->stopped = true;
    network_.Detach(self_, lane_, this);
  }

  // A message has arrived.
  void Take(const NodeId& from, Message message) {
    if (!receiver_) return;
    if (translate_) translate_(message);
    executor_.Post([receiver = receiver_, from, message = std::move(message)]() mutable {
      if (!receiver->stopped) receiver->handler(from, std::move(message));
    });
  }

 private:
  struct Receiver {
    Handler handler;
    bool stopped = false;
  };

  SimNetwork& network_;
  const NodeId self_;
  const Lane lane_;
  Executor& executor_;
  std::map<NodeId, std::string> peers_;
  std::function<void(Message&)> translate_;
  bool stopped_ = false;
  std::shared_ptr<Receiver> receiver_;  // shared with messages that wait in the executor
};

inline std::optional<absl::Duration> SimNetwork::Fate(const NodeId& from, const NodeId& to) {
  const Link& link = links_[{from, to}];
  if (link.cut) return std::nullopt;
  if (random_.Chance(link.faults.lose)) return std::nullopt;
  if (random_.Chance(link.faults.linger)) {
    return random_.Between(absl::Seconds(1), absl::Seconds(20));
  }
  return Delay(link.faults);
}

inline void SimNetwork::Send(Lane lane, const NodeId& from, const NodeId& to, Message message) {
  counters_.sent++;
  Saw(kSent, from, to, message);
  const Link& link = links_[{from, to}];
  if (link.cut) {
    counters_.cut++;
    return Saw("cut", from, to, message);
  }
  const LinkFaults& faults = link.faults;
  auto arrive = [this, lane, from, to](const Message& copy) {
    return [this, lane, from, to, copy]() mutable { Arrive(lane, from, to, std::move(copy)); };
  };
  if (random_.Chance(faults.repeat)) {
    counters_.repeated++;
    simulation_.After(random_.Between(absl::ZeroDuration(), absl::Seconds(2)), arrive(message));
  }
  if (random_.Chance(faults.lose)) {
    counters_.lost++;
    return Saw("lost", from, to, message);
  }
  if (random_.Chance(faults.linger)) {
    counters_.lingered++;
    simulation_.After(random_.Between(absl::Seconds(1), absl::Seconds(20)), arrive(message));
    return;
  }
  if (random_.Chance(faults.reorder)) {
    counters_.reordered++;
    simulation_.After(random_.Between(absl::ZeroDuration(), 20 * faults.delay_max),
                      arrive(message));
    return;
  }
  absl::Time& last = arrivals_[{lane, from, to}];
  last = std::max(last, simulation_.Now() + Delay(faults));
  simulation_.At(last, arrive(message));
}

inline void SimNetwork::Arrive(Lane lane, const NodeId& from, const NodeId& to, Message message) {
  if (IsCut(from, to)) {
    counters_.cut++;
    return Saw("cut", from, to, message);
  }
  auto endpoint = endpoints_.find({to, lane});
  if (endpoint == endpoints_.end()) return Saw("down", from, to, message);
  counters_.delivered++;
  Saw("got", from, to, message);
  endpoint->second->Take(from, std::move(message));
}

}  // namespace forebay
