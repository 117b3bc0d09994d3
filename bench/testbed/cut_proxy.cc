#include "testbed/cut_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

constexpr size_t kBufferBytes = 256 << 10;

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

void SendAtOnce(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

bool TryLater() { return errno == EAGAIN || errno == EINTR || errno == EINPROGRESS; }

}  // namespace

// Two sockets, and what was read from one and not yet written to the other, in both directions.
struct CutProxy::Connection {
  struct Direction {
    int from = -1;
    int to = -1;
    std::string waiting = {};
    bool ended = false;  // `from` was closed for reading
    bool told = false;   // and `to` knows
  };

  Connection(int client, int server)
      : directions{Direction{.from = client, .to = server}, {.from = server, .to = client}} {}
  ~Connection() {
    ::close(directions[0].from);
    ::close(directions[0].to);
  }

  // False when the connection is over.
  bool Forward(const Passes& passes) {
    for (Direction& direction : directions) {
      if (!Pass(direction, passes)) continue;
      if (!Read(direction) || !Write(direction)) return false;
    }
    return !directions[0].told || !directions[1].told;
  }

  bool Pass(const Direction& direction, const Passes& passes) const {
    return &direction == &directions[0] ? passes.forth : passes.back;
  }

  static bool Read(Direction& d) {
    if (!d.waiting.empty() || d.ended) return true;
    std::array<char, kBufferBytes> buffer;
    const ssize_t got = ::read(d.from, buffer.data(), buffer.size());
    if (got > 0) d.waiting.assign(buffer.data(), static_cast<size_t>(got));
    if (got == 0) d.ended = true;
    return got >= 0 || TryLater();
  }

  static bool Write(Direction& d) {
    while (!d.waiting.empty()) {
      const ssize_t put = ::send(d.to, d.waiting.data(), d.waiting.size(), MSG_NOSIGNAL);
      if (put < 0) return TryLater();
      d.waiting.erase(0, static_cast<size_t>(put));
    }
    if (d.ended && !d.told) {
      ::shutdown(d.to, SHUT_WR);
      d.told = true;
    }
    return true;
  }

  std::array<Direction, 2> directions;
};

struct CutProxy::Route {
  ~Route() { ::close(listener); }
  int listener = -1;
  uint16_t target_port = 0;
  Passes passes;
  std::list<Connection> connections;
};

CutProxy::CutProxy() = default;
CutProxy::~CutProxy() = default;

absl::StatusOr<uint16_t> CutProxy::AddRoute(const std::string& name, uint16_t target_port) {
  auto route = std::make_unique<Route>();
  route->target_port = target_port;
  route->listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (route->listener < 0 || ::bind(route->listener, generic, size) != 0 ||
      ::listen(route->listener, 128) != 0 || ::getsockname(route->listener, generic, &size) != 0) {
    return absl::InternalError(absl::StrCat("route ", name, ": ", std::strerror(errno)));
  }
  routes_[name] = std::move(route);
  return ntohs(address.sin_port);
}

absl::Status CutProxy::SetPasses(const std::string& name, Passes passes) {
  const auto route = routes_.find(name);
  if (route == routes_.end()) return absl::NotFoundError(absl::StrCat("no route ", name));
  route->second->passes = passes;
  return absl::OkStatus();
}

void CutProxy::Accept(Route& route) {
  while (true) {
    const int client = ::accept4(route.listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(route.target_port);
    SendAtOnce(client);
    SendAtOnce(server);
    // A refused connection shows up as an error of the first read.
    if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
        !TryLater()) {
      ::close(client);
      ::close(server);
      continue;
    }
    route.connections.emplace_back(client, server);
  }
}

void CutProxy::AddPolls(Route& route, std::vector<pollfd>& polls) {
  if (route.passes.forth && route.passes.back) {
    polls.push_back({.fd = route.listener, .events = POLLIN, .revents = 0});
  }
  for (Connection& connection : route.connections) {
    for (Connection::Direction& d : connection.directions) {
      if (!connection.Pass(d, route.passes)) continue;
      if (!d.waiting.empty()) {
        polls.push_back({.fd = d.to, .events = POLLOUT, .revents = 0});
      } else if (!d.ended) {
        polls.push_back({.fd = d.from, .events = POLLIN, .revents = 0});
      }
    }
  }
}

void CutProxy::Forward(Route& route) {
  if (route.passes.forth && route.passes.back) Accept(route);
  for (auto at = route.connections.begin(); at != route.connections.end();) {
    at = at->Forward(route.passes) ? std::next(at) : route.connections.erase(at);
  }
}

bool CutProxy::RunOnce(int control) {
  std::vector<pollfd> polls = {{.fd = control, .events = POLLIN, .revents = 0}};
  for (auto& [name, route] : routes_) AddPolls(*route, polls);
  if (::poll(polls.data(), polls.size(), -1) < 0) return false;
  for (auto& [name, route] : routes_) Forward(*route);
  return polls[0].revents != 0;
}

absl::StatusOr<std::unique_ptr<RunningCutProxy>> RunningCutProxy::Start() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a pipe for the proxy between zones: ", std::strerror(errno)));
  }
  std::unique_ptr<RunningCutProxy> proxy(new RunningCutProxy(ends[1], ends[0]));
  proxy->thread_.Post([raw = proxy.get()] { raw->Run(); });
  return proxy;
}

RunningCutProxy::~RunningCutProxy() {
  Wake();
  thread_.Stop();
  ::close(wake_);
  ::close(woken_);
}

absl::StatusOr<uint16_t> RunningCutProxy::AddRoute(const std::string& name, uint16_t target_port) {
  absl::StatusOr<uint16_t> port;
  Ask([&](CutProxy& proxy) { port = proxy.AddRoute(name, target_port); });
  return port;
}

absl::Status RunningCutProxy::SetPasses(const std::string& name, Passes passes) {
  absl::Status status;
  Ask([&](CutProxy& proxy) { status = proxy.SetPasses(name, passes); });
  return status;
}

void RunningCutProxy::Run() {
  while (true) {
    if (!proxy_.RunOnce(woken_)) continue;
    char byte;
    if (::read(woken_, &byte, 1) != 1) continue;
    MutexLock lock(mutex_);
    if (request_ == nullptr) return;
    request_(proxy_);
    request_ = nullptr;
    done_.SignalAll();
  }
}

void RunningCutProxy::Ask(Request request) {
  MutexLock lock(mutex_);
  request_ = std::move(request);
  Wake();
  while (request_ != nullptr) done_.Wait(mutex_);
}

void RunningCutProxy::Wake() const {
  while (::write(wake_, "x", 1) < 0 && errno == EINTR) {
  }
}

}  // namespace forebay
