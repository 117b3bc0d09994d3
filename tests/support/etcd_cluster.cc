#include "support/etcd_cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

constexpr int kPollMs = 20;
constexpr int kPollsMax = 60 * 1000 / kPollMs;

void Pause() { ::poll(nullptr, 0, kPollMs); }

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Ports that are free now; all are held until the last is found, so that they differ.
std::vector<int> FreePorts(int count) {
  std::vector<int> sockets, ports;
  for (int i = 0; i < count; i++) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockets.push_back(fd);
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) continue;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    ports.push_back(ntohs(address.sin_port));
  }
  for (const int fd : sockets) ::close(fd);
  return ports;
}

// The text between `before` and the next quotation mark.
std::string Between(const std::string& text, const std::string& before) {
  const size_t at = text.find(before);
  if (at == std::string::npos) return "";
  const size_t from = at + before.size();
  return text.substr(from, text.find('"', from) - from);
}

std::string Url(int port) { return absl::StrCat("http://127.0.0.1:", port); }

}  // namespace

std::optional<std::string> EtcdCluster::WhyNot() {
  const char* path = std::getenv("PATH");
  for (std::string rest = path != nullptr ? path : ""; !rest.empty();) {
    const size_t colon = rest.find(':');
    if (::access((rest.substr(0, colon) + "/etcd").c_str(), X_OK) == 0) return std::nullopt;
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
  }
  return "there is no program 'etcd' on $PATH (Debian: etcd-server)";
}

std::unique_ptr<EtcdCluster> EtcdCluster::Start(Options options) {
  std::unique_ptr<EtcdCluster> cluster(new EtcdCluster);
  cluster->options_ = options;
  std::string folder = (std::filesystem::temp_directory_path() / "forebay-etcd-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return nullptr;
  cluster->folder_ = folder;
  const std::vector<int> ports = FreePorts(2 * options.members);
  for (size_t i = 0; i < ports.size(); i += 2) {
    cluster->members_.push_back({ports[i], ports[i + 1]});
  }
  for (int i = 0; i < options.members; i++) cluster->Spawn(i);
  for (int i = 0; i < options.members; i++) cluster->WaitUntilHealthy(i);
  if (!cluster->Healthy(0)) return nullptr;
  return cluster;
}

EtcdCluster::~EtcdCluster() {
  for (size_t i = 0; i < members_.size(); i++) {
    if (members_[i].pid > 0) Kill(static_cast<int>(i));
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::vector<pid_t> EtcdCluster::pids() const {
  std::vector<pid_t> pids;
  for (const Member& member : members_) pids.push_back(member.pid);
  return pids;
}

std::vector<std::string> EtcdCluster::endpoints() const {
  std::vector<std::string> endpoints;
  for (const Member& member : members_) {
    endpoints.push_back(absl::StrCat("127.0.0.1:", member.client_port));
  }
  return endpoints;
}

void EtcdCluster::Spawn(int index) {
  Member& member = members_[static_cast<size_t>(index)];
  std::string cluster;
  for (size_t i = 0; i < members_.size(); i++) {
    absl::StrAppend(&cluster, i == 0 ? "" : ",", "m", i, "=", Url(members_[i].peer_port));
  }
  const std::string name = absl::StrCat("m", index);
  std::vector<std::string> words = {"etcd",
                                    "--name",
                                    name,
                                    "--data-dir",
                                    folder_ + "/" + name,
                                    "--listen-client-urls",
                                    Url(member.client_port),
                                    "--advertise-client-urls",
                                    Url(member.client_port),
                                    "--listen-peer-urls",
                                    Url(member.peer_port),
                                    "--initial-advertise-peer-urls",
                                    Url(member.peer_port),
                                    "--initial-cluster",
                                    cluster,
                                    "--initial-cluster-state",
                                    "new",
                                    "--heartbeat-interval",
                                    absl::StrCat(options_.heartbeat_ms),
                                    "--election-timeout",
                                    absl::StrCat(options_.election_ms),
                                    "--logger",
                                    "zap"};
  std::vector<char*> args;
  for (std::string& word : words) args.push_back(word.data());
  args.push_back(nullptr);
  const std::string log = folder_ + "/" + name + ".log";
  member.frozen = false;
  member.pid = ::fork();
  if (member.pid != 0) return;
  // Only what is safe between fork and exec.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  ::dup2(fd, STDOUT_FILENO);
  ::dup2(fd, STDERR_FILENO);
  ::execvp(args[0], args.data());
  ::_exit(127);
}

std::string EtcdCluster::Ask(int member, const std::string& request) const {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit = {1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  sockaddr_in address = Loopback(members_[static_cast<size_t>(member)].client_port);
  std::string answer;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
      ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size())) {
    char buffer[4096];
    for (ssize_t got = 0; (got = ::recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
      answer.append(buffer, static_cast<size_t>(got));
    }
  }
  ::close(fd);
  return answer;
}

std::string EtcdCluster::Post(int member, const std::string& path, const std::string& json) const {
  return Ask(member, absl::StrCat("POST ", path, " HTTP/1.0\r\nContent-Type: application/json\r\n",
                                  "Content-Length: ", json.size(), "\r\n\r\n", json));
}

bool EtcdCluster::Healthy(int member) {
  return Ask(member, "GET /health HTTP/1.0\r\n\r\n").find(R"("health":"true")") !=
         std::string::npos;
}

void EtcdCluster::WaitUntilHealthy(int member) {
  for (int i = 0; i < kPollsMax && !Healthy(member); i++) Pause();
}

int EtcdCluster::WaitForLeader() {
  for (int i = 0; i < kPollsMax; i++) {
    for (size_t m = 0; m < members_.size(); m++) {
      if (members_[m].pid == 0 || members_[m].frozen) continue;
      const std::string status = Post(static_cast<int>(m), "/v3/maintenance/status", "{}");
      const std::string leader = Between(status, R"("leader":")");
      if (!leader.empty() && leader == Between(status, R"("member_id":")")) {
        return static_cast<int>(m);
      }
    }
    Pause();
  }
  return 0;
}

void EtcdCluster::Kill(int index) {
  Member& member = members_[static_cast<size_t>(index)];
  ::kill(member.pid, SIGKILL);
  ::waitpid(member.pid, nullptr, 0);
  member.pid = 0;
}

void EtcdCluster::StartAgain(int member) {
  Spawn(member);
  WaitUntilHealthy(member);
}

void EtcdCluster::Freeze(int index) {
  Member& member = members_[static_cast<size_t>(index)];
  member.frozen = true;
  ::kill(member.pid, SIGSTOP);
}

void EtcdCluster::Thaw(int index) {
  Member& member = members_[static_cast<size_t>(index)];
  ::kill(member.pid, SIGCONT);
  member.frozen = false;
  WaitUntilHealthy(index);
}

void EtcdCluster::Delete(const std::string& key) {
  Post(WaitForLeader(), "/v3/kv/deleterange",
       absl::StrCat(R"({"key":")", absl::Base64Escape(key), R"("})"));
}

}  // namespace forebay
