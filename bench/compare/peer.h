// What a peer's file implements, so that one load driver measures all of them alike.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace forebay::compare {

// Nanoseconds of the machine's steady clock.
using Instant = int64_t;
Instant Now();

// The how many-th event of its publisher it is.
using Ticket = uint64_t;

struct Answer {
  Ticket ticket = 0;
  bool stored = false;  // acknowledged; else it was refused and may be sent again
  Instant at = 0;       // when the answer came
};

// A connection, used by one thread. Any error means: give it up and connect again. What was sent
// and not answered is then sent again by the driver.
class Publisher {
 public:
  virtual ~Publisher() = default;
  // Takes the event; it may wait here for the next Flush.
  virtual absl::Status Send(Ticket ticket, std::string_view event) = 0;
  virtual absl::Status Flush() = 0;
  // Adds the answers there are; with none there, waits up to `limit` for one.
  virtual absl::Status Poll(absl::Duration limit, std::vector<Answer>& answers) = 0;
};

struct PeerOptions {
  std::vector<std::string> addresses;  // "host:port" of each node; where to connect to first, first
  std::string name = "load";           // of the stream, topic, queue, or prefix of keys
  bool open_loop = false;
  std::map<std::string, std::string> settings;  // of the peer

  std::string Setting(const std::string& key, const std::string& otherwise) const {
    const auto found = settings.find(key);
    return found == settings.end() ? otherwise : found->second;
  }
};

class Peer {
 public:
  virtual ~Peer() = default;
  // Makes what is published to, if it does not exist.
  virtual absl::Status Create() { return absl::OkStatus(); }
  // `attempt` counts the publisher's connections: a peer whose client library does not look for
  // the right node by itself tries the nodes in turn. Thread-safe.
  virtual absl::StatusOr<std::unique_ptr<Publisher>> Connect(uint32_t publisher,
                                                             size_t attempt) = 0;
  // Shows every event that is stored, repeats included.
  virtual absl::Status ReadBack(const std::function<void(std::string_view)>& show) = 0;
  // Which node takes the events, by the name or number it was given; asked of any node. Only where
  // no command line program of the peer tells.
  virtual absl::StatusOr<std::string> Leader() {
    return absl::UnimplementedError("this peer's leader is found in another way");
  }
  // How long an answer may take before the publisher connects anew and sends again. Infinite where
  // the client library does that by itself.
  virtual absl::Duration answer_limit() const { return absl::Seconds(5); }
};

// Each program links one peer's file, which defines this.
std::unique_ptr<Peer> MakePeer(const PeerOptions& options);

// "host:port" in two parts.
struct HostPort {
  std::string host;
  int port = 0;
};
HostPort Split(const std::string& address);

}  // namespace forebay::compare
