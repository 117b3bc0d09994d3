#include "testbed/local_ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace forebay {
namespace {

// Linux takes ports for outgoing connections from 32768 up (ip_local_port_range).
constexpr uint16_t kFirst = 12'000;
constexpr uint16_t kCount = 20'000;

bool IsFree(uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const bool free =
      ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  ::close(socket);
  return free;
}

}  // namespace

LocalPorts::LocalPorts()
    : random_(Random::FromSystem()), next_(static_cast<uint16_t>(random_.Below(kCount))) {}

absl::StatusOr<uint16_t> LocalPorts::Take() {
  for (uint16_t tries = 0; tries < kCount; ++tries) {
    next_ = static_cast<uint16_t>((next_ + 1) % kCount);
    const uint16_t port = static_cast<uint16_t>(kFirst + next_);
    if (IsFree(port)) return port;
  }
  return absl::UnavailableError("no free port on 127.0.0.1");
}

}  // namespace forebay
