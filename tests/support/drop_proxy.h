// A loopback proxy before a PostgreSQL server that loses a COMMIT or its answer.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "runtime/thread_executor.h"

namespace forebay {

class DropProxy {
 public:
  enum class Mode {
    kForward,
    kLoseCommit,  // breaks the connection instead of forwarding the next COMMIT, once
    kLoseAnswer,  // breaks the connection when the server has answered the next COMMIT, once
    kSilent       // takes everything and forwards nothing
  };

  explicit DropProxy(int server_port) : server_port_(server_port), thread_("drop-proxy") {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    FOREBAY_CHECK(bind(listener_, generic, size) == 0 && listen(listener_, 64) == 0, "listen");
    getsockname(listener_, generic, &size);
    port_ = ntohs(address.sin_port);
    FOREBAY_CHECK(pipe2(stop_, O_CLOEXEC) == 0, "pipe");
    thread_.Post([this] { Run(); });
  }
  ~DropProxy() {
    close(stop_[1]);
    thread_.Stop();
    for (const Pair& pair : pairs_) Close(pair);
    close(stop_[0]);
    close(listener_);
  }
  DropProxy(const DropProxy&) = delete;
  DropProxy& operator=(const DropProxy&) = delete;

  int port() const { return port_; }
  void Set(Mode mode) { mode_ = mode; }
  int lost() const { return lost_; }  // connections broken on purpose

 private:
  struct Pair {
    int client, server;
    bool commit_sent = false;
  };

  static sockaddr_in Loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    return address;
  }
  static void Close(const Pair& pair) {
    close(pair.client);
    close(pair.server);
  }

  void Accept() {
    Pair pair{accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC),
              socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address = Loopback(server_port_);
    if (connect(pair.server, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
      pairs_.push_back(pair);
    } else {
      Close(pair);
    }
  }

  bool Lose() {
    mode_ = Mode::kForward;
    lost_++;
    return false;
  }
  // False when the pair is to be closed.
  bool Forward(Pair& pair, bool from_client) {
    char bytes[65536];
    const ssize_t size = read(from_client ? pair.client : pair.server, bytes, sizeof(bytes));
    if (size <= 0) return false;
    const Mode mode = mode_;
    if (mode == Mode::kSilent) return true;
    const std::string_view text(bytes, static_cast<size_t>(size));
    if (from_client && text.find("COMMIT") != std::string_view::npos) {
      if (mode == Mode::kLoseCommit) return Lose();
      pair.commit_sent = mode == Mode::kLoseAnswer;
    }
    if (!from_client && pair.commit_sent) return Lose();
    return write(from_client ? pair.server : pair.client, bytes, static_cast<size_t>(size)) == size;
  }

  void Run() {
    while (true) {
      std::vector<pollfd> sockets = {{stop_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
      for (const Pair& pair : pairs_) {
        sockets.push_back({pair.client, POLLIN, 0});
        sockets.push_back({pair.server, POLLIN, 0});
      }
      poll(sockets.data(), sockets.size(), -1);
      if (sockets[0].revents != 0) return;
      size_t at = 2;
      for (auto pair = pairs_.begin(); pair != pairs_.end(); at += 2) {
        const bool open = (sockets[at].revents == 0 || Forward(*pair, true)) &&
                          (sockets[at + 1].revents == 0 || Forward(*pair, false));
        if (!open) Close(*pair);
        pair = open ? std::next(pair) : pairs_.erase(pair);
      }
      if (sockets[1].revents != 0) Accept();
    }
  }

  const int server_port_;
  int listener_ = -1;
  int port_ = 0;
  int stop_[2] = {-1, -1};
  std::atomic<Mode> mode_ = Mode::kForward;
  std::atomic<int> lost_ = 0;
  std::list<Pair> pairs_;  // the thread's
  ThreadExecutor thread_;
};

}  // namespace forebay
