// ConnectionGate: takes the connections of a server, up to a limit, and hands them on. gRPC 1.51
// itself takes all that come (docs/decisions/0032-own-acceptor.md). Other rooms use its numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/mutex.h"
#include "runtime/real_clock.h"
#include "runtime/thread_executor.h"

namespace forebay {

struct ConnectionStats {
  uint64_t open = 0;
  uint64_t taken = 0;    // since the start
  uint64_t refused = 0;  // of those that came, because there were too many
};

// An open file descriptor, closed at the end.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int number() const { return number_; }
  int Release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

// Thread-safe, but for Start and Stop, which are one caller's.
class ConnectionGate {
 public:
  // Called on the gate's thread. Its receiver closes the descriptor.
  using Take = std::function<void(int descriptor)>;

  // Binds all that "host:port" (port 0: any free one) stands for; connections wait until Start.
  // UNAVAILABLE: not an address of this machine, or taken. May allow fewer than `connections_max`:
  // see ServerLimits.
  static absl::StatusOr<std::unique_ptr<ConnectionGate>> Listen(const std::string& address,
                                                                size_t connections_max);
  ~ConnectionGate();  // Stop

  // With the port that was bound.
  int port() const { return port_; }
  void Start(Take take);
  // From now on the address is free, and nothing is handed on.
  void Stop();

  ConnectionStats stats() const;

 private:
  ConnectionGate(std::vector<Descriptor> listeners, Descriptor stop, int port,
                 size_t connections_max);
  void Run();
  void AcceptFrom(int listener);
  void Admit(Descriptor connection);
  bool HasRoom();
  void ForgetClosed() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellOfRefusals();
  // In the log, not too often.
  void Warn(const std::string& what);
  // Returns true at Stop.
  bool WaitForStop(absl::Duration limit) const;

  const int port_;
  const size_t connections_max_;
  const RealClock clock_;
  std::vector<Descriptor> listeners_;  // of the gate's thread while it runs
  const Descriptor stop_;              // readable: stop
  Take take_;
  absl::Time next_look_ = absl::InfinitePast();  // for closed ones, while there is no room
  absl::Time next_word_ = absl::InfinitePast();  // in the log

  mutable Mutex mutex_;
  // Those taken: descriptor -> the number of its socket, which tells whether it is still that one.
  mutable std::map<int, uint64_t> open_ ABSL_GUARDED_BY(mutex_);
  uint64_t taken_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t refused_ ABSL_GUARDED_BY(mutex_) = 0;
  ThreadExecutor thread_{"rpc-accept"};
};

}  // namespace forebay
