#include "rpc/connection_gate.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "rpc/grpc_channel.h"
#include "runtime/log.h"

namespace forebay {
namespace {

// For the store's files, the sinks and our own connections to others.
constexpr size_t kDescriptorsForFiles = 512;
constexpr size_t kConnectionsAtLeast = 16;
// Looking for closed connections costs a call for each that is open.
constexpr absl::Duration kLookEvery = absl::Milliseconds(100);
constexpr absl::Duration kWordEvery = absl::Minutes(1);
// Until somebody has closed something, when the process or the machine is out of descriptors.
constexpr absl::Duration kOutOfDescriptors = absl::Milliseconds(100);

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

std::string ErrorText() { return std::generic_category().message(errno); }

// "[::1]" -> "::1"
std::string Unbracketed(const std::string& host) {
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

Addresses Resolve(const std::string& address) {
  const size_t colon = address.rfind(':');
  addrinfo* found = nullptr;
  if (colon != std::string::npos) {
    const std::string host = Unbracketed(address.substr(0, colon));
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    if (getaddrinfo(host.empty() ? nullptr : host.c_str(), address.substr(colon + 1).c_str(),
                    &hints, &found) != 0) {
      found = nullptr;
    }
  }
  return {found, freeaddrinfo};
}

void SetOption(int socket, int level, int option, int value) {
  // None of them is needed for a connection to work.
  (void)setsockopt(socket, level, option, &value, sizeof value);
}

in_port_t& PortIn(sockaddr_storage& address) {
  return address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                       : reinterpret_cast<sockaddr_in&>(address).sin_port;
}

// With `port` instead of the address's own, if that is not 0. Sets `port` to what was bound.
std::optional<Descriptor> Bind(const addrinfo& address, bool only_this_family, int& port) {
  Descriptor listener(
      socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (listener.number() < 0) return std::nullopt;
  SetOption(listener.number(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.ai_family == AF_INET6) {
    SetOption(listener.number(), IPPROTO_IPV6, IPV6_V6ONLY, only_this_family ? 1 : 0);
  }
  sockaddr_storage place{};
  std::copy_n(reinterpret_cast<const char*>(address.ai_addr), address.ai_addrlen,
              reinterpret_cast<char*>(&place));
  if (port != 0) PortIn(place) = htons(static_cast<uint16_t>(port));
  socklen_t size = address.ai_addrlen;
  auto* const bytes = reinterpret_cast<sockaddr*>(&place);
  if (bind(listener.number(), bytes, size) != 0 || listen(listener.number(), SOMAXCONN) != 0 ||
      getsockname(listener.number(), bytes, &size) != 0) {
    return std::nullopt;
  }
  port = ntohs(PortIn(place));
  return listener;
}

// The number of the socket behind a descriptor; nothing: it is closed.
std::optional<uint64_t> SocketOf(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0 || !S_ISSOCK(status.st_mode)) return std::nullopt;
  return status.st_ino;
}

size_t Affordable(size_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return wanted;
  const size_t all = limit.rlim_cur;
  const size_t most = std::max(kConnectionsAtLeast, all - std::min(all, kDescriptorsForFiles));
  if (most >= wanted) return wanted;
  Log(LogLevel::kInfo,
      absl::StrCat("takes ", most, " connections at once, not limits.connections_max (", wanted,
                   "), as the process may have ", all,
                   " descriptors: raise that (LimitNOFILE, ulimit -n)"));
  return most;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

absl::StatusOr<std::unique_ptr<ConnectionGate>> ConnectionGate::Listen(const std::string& address,
                                                                       size_t connections_max) {
  const Addresses addresses = Resolve(address);
  std::vector<Descriptor> listeners;
  int port = 0;
  for (const addrinfo* one = addresses.get(); one != nullptr; one = one->ai_next) {
    auto listener = Bind(*one, addresses->ai_next != nullptr, port);
    if (listener.has_value()) {
      listeners.push_back(*std::move(listener));
    } else if (errno == EADDRINUSE) {
      // Half of an address would leave callers to chance.
      listeners.clear();
      break;
    }
  }
  Descriptor stop(eventfd(0, EFD_CLOEXEC));
  if (listeners.empty() || stop.number() < 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on '", address,
                     "': it is not a host:port of this machine, or the port is taken"));
  }
  return std::unique_ptr<ConnectionGate>(
      new ConnectionGate(std::move(listeners), std::move(stop), port, Affordable(connections_max)));
}

ConnectionGate::ConnectionGate(std::vector<Descriptor> listeners, Descriptor stop, int port,
                               size_t connections_max)
    : port_(port),
      connections_max_(connections_max),
      listeners_(std::move(listeners)),
      stop_(std::move(stop)) {}

ConnectionGate::~ConnectionGate() { Stop(); }

void ConnectionGate::Start(Take take) {
  take_ = std::move(take);
  thread_.Post([this] { Run(); });
}

void ConnectionGate::Stop() {
  (void)eventfd_write(stop_.number(), 1);
  thread_.Stop();
  listeners_.clear();
}

void ConnectionGate::Run() {
  std::vector<pollfd> watched{{stop_.number(), POLLIN, 0}};
  for (const Descriptor& listener : listeners_) watched.push_back({listener.number(), POLLIN, 0});
  while (true) {
    (void)poll(watched.data(), watched.size(), -1);
    if (watched[0].revents != 0) return;
    for (const pollfd& one : watched) {
      if (one.revents != 0) AcceptFrom(one.fd);
    }
  }
}

void ConnectionGate::AcceptFrom(int listener) {
  Descriptor connection(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (connection.number() >= 0) return Admit(std::move(connection));
  if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    Warn(absl::StrCat("cannot take a connection: ", ErrorText()));
    (void)WaitForStop(kOutOfDescriptors);
  }
}

bool ConnectionGate::WaitForStop(absl::Duration limit) const {
  pollfd watched{stop_.number(), POLLIN, 0};
  return poll(&watched, 1, static_cast<int>(absl::ToInt64Milliseconds(limit))) > 0;
}

// The callers of a full server see a closed connection, and try another node.
void ConnectionGate::Admit(Descriptor connection) {
  const auto socket = SocketOf(connection.number());
  if (!socket.has_value()) return;
  if (!HasRoom()) return TellOfRefusals();
  // As gRPC's own listener sets them: small messages leave at once, a lost peer is noticed.
  SetOption(connection.number(), IPPROTO_TCP, TCP_NODELAY, 1);
  SetOption(connection.number(), IPPROTO_TCP, TCP_USER_TIMEOUT,
            static_cast<int>(absl::ToInt64Milliseconds(kPingEvery)));
  {
    MutexLock lock(mutex_);
    open_[connection.number()] = *socket;
    taken_++;
  }
  take_(connection.Release());
}

bool ConnectionGate::HasRoom() {
  MutexLock lock(mutex_);
  if (open_.size() < connections_max_) return true;
  const absl::Time now = clock_.Now();
  if (now < next_look_) return false;
  ForgetClosed();
  const bool room = open_.size() < connections_max_;
  if (!room) next_look_ = now + kLookEvery;
  return room;
}

// gRPC does not say when it closes one.
void ConnectionGate::ForgetClosed() const {
  std::erase_if(open_, [](const auto& one) { return SocketOf(one.first) != one.second; });
}

void ConnectionGate::TellOfRefusals() {
  uint64_t refused = 0;
  {
    MutexLock lock(mutex_);
    refused = ++refused_;
  }
  Warn(absl::StrCat("closes new connections, as ", connections_max_,
                    " are open (limits.connections_max); ", refused, " so far"));
}

void ConnectionGate::Warn(const std::string& what) {
  if (clock_.Now() < next_word_) return;
  next_word_ = clock_.Now() + kWordEvery;
  Log(LogLevel::kWarning, what);
}

ConnectionStats ConnectionGate::stats() const {
  MutexLock lock(mutex_);
  ForgetClosed();
  return {open_.size(), taken_, refused_};
}

}  // namespace forebay
