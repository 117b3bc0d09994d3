// Child processes, and the networks and disks that the drill breaks.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "testbed/child_process.h"
#include "testbed/cut_proxy.h"
#include "testbed/local_clock.h"
#include "testbed/local_disk.h"
#include "testbed/local_network.h"

namespace forebay {
namespace {

using ::testing::HasSubstr;

std::string LogPath() { return ::testing::TempDir() + "/child.log"; }

TEST(ChildProcess, TalksLineByLine) {
  auto child = ChildProcess::Start({.command = {"cat"}, .log = LogPath(), .talk = true});
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_TRUE((*child)->WriteLine("one").ok());
  EXPECT_EQ((*child)->ReadLine().value(), "one");
  (*child)->Signal(SIGKILL);
  EXPECT_TRUE((*child)->WaitForEnd(absl::Seconds(10)));
  EXPECT_EQ((*child)->HowItEnded(), "signal 9");
  EXPECT_EQ((*child)->ReadLine().status().code(), absl::StatusCode::kUnavailable);
}

TEST(ChildProcess, TellsItsExitCode) {
  auto child = ChildProcess::Start({.command = {"sh", "-c", "exit 3"}, .log = LogPath()});
  ASSERT_TRUE(child.ok());
  ASSERT_TRUE((*child)->WaitForEnd(absl::Seconds(10)));
  EXPECT_EQ((*child)->HowItEnded(), "exit code 3");
}

TEST(ChildProcess, CanBeAskedToQuitEvenIfItsOwnerIgnoresThat) {
  const auto before = ::signal(SIGQUIT, SIG_IGN);
  auto child = ChildProcess::Start({.command = {"sleep", "1000"}, .log = LogPath()});
  ASSERT_TRUE(child.ok());
  while (std::ifstream("/proc/" + std::to_string((*child)->pid()) + "/comm").get() != 's') {
  }  // from here on it is the new program that gets the signal
  (*child)->Signal(SIGQUIT);
  EXPECT_TRUE((*child)->WaitForEnd(absl::Seconds(10)));
  EXPECT_EQ((*child)->HowItEnded(), "signal 3");
  ::signal(SIGQUIT, before);
}

TEST(ChildProcess, IsKilledWhenItsOwnerLetsGo) {
  auto child = ChildProcess::Start({.command = {"sleep", "1000"}, .log = LogPath()});
  ASSERT_TRUE(child.ok());
  const pid_t pid = (*child)->pid();
  child->reset();
  EXPECT_EQ(::kill(pid, 0), -1);
}

// Sockets of the loopback interface.
sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}
int Listen(uint16_t& port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener, generic, size), 0);
  EXPECT_EQ(::listen(listener, 8), 0);
  EXPECT_EQ(::getsockname(listener, generic, &size), 0);
  port = ntohs(address.sin_port);
  return listener;
}
int Connect(uint16_t port) {
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = Loopback(port);
  EXPECT_EQ(::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  return client;
}

// An echo server's listener, a client of the proxy before it, and the proxy, all on this thread.
class CutProxyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::pipe(always_readable_), 0);
    ASSERT_EQ(::write(always_readable_[1], "x", 1), 1);
    uint16_t listening = 0;
    listener_ = Listen(listening);
    const auto port = proxy_.AddRoute("a>b", listening);
    ASSERT_TRUE(port.ok()) << port.status();
    client_ = Connect(*port);
    Turn();
    server_ = ::accept(listener_, nullptr, nullptr);
    ASSERT_GE(server_, 0);
  }
  void TearDown() override {
    for (const int file : {client_, server_, listener_, always_readable_[0], always_readable_[1]}) {
      ::close(file);
    }
  }

  // Lets the proxy forward what it can.
  void Turn() {
    for (int i = 0; i < 20; ++i) proxy_.RunOnce(always_readable_[0]);
  }
  static void Say(int socket, const std::string& text) {
    EXPECT_EQ(::send(socket, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  // What has arrived so far; "" = nothing, "(closed)" = the other end closed.
  std::string Heard(int socket) {
    Turn();
    char buffer[256];
    const ssize_t got = ::recv(socket, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got == 0) return "(closed)";
    return got < 0 ? "" : std::string(buffer, static_cast<size_t>(got));
  }

  CutProxy proxy_;
  int always_readable_[2] = {-1, -1};
  int listener_ = -1;
  int client_ = -1;
  int server_ = -1;
};

TEST_F(CutProxyTest, ForwardsBothWaysAndTheEnd) {
  Say(client_, "ping");
  EXPECT_EQ(Heard(server_), "ping");
  Say(server_, "pong");
  EXPECT_EQ(Heard(client_), "pong");
  ::shutdown(client_, SHUT_WR);
  EXPECT_EQ(Heard(server_), "(closed)");
}

TEST_F(CutProxyTest, HoldsEverythingBackWhileCutAndDeliversItWhenHealed) {
  ASSERT_TRUE(proxy_.SetPasses("a>b", {.forth = false, .back = false}).ok());
  Say(client_, "ping");
  Say(server_, "pong");
  EXPECT_EQ(Heard(server_), "");
  EXPECT_EQ(Heard(client_), "");
  ASSERT_TRUE(proxy_.SetPasses("a>b", {}).ok());
  EXPECT_EQ(Heard(server_), "ping");
  EXPECT_EQ(Heard(client_), "pong");
}

TEST_F(CutProxyTest, HoldsBackOneDirectionOnlyWhenCutOneWay) {
  ASSERT_TRUE(proxy_.SetPasses("a>b", {.forth = false, .back = true}).ok());
  Say(client_, "ping");
  Say(server_, "pong");
  EXPECT_EQ(Heard(server_), "");
  EXPECT_EQ(Heard(client_), "pong");
  ASSERT_TRUE(proxy_.SetPasses("a>b", {.forth = true, .back = false}).ok());
  Say(server_, "again");
  EXPECT_EQ(Heard(server_), "ping");
  EXPECT_EQ(Heard(client_), "");
}

TEST_F(CutProxyTest, NamesARouteItDoesNotKnow) {
  EXPECT_THAT(proxy_.SetPasses("b>c", {}).ToString(), HasSubstr("no route b>c"));
}

TEST(RunningCutProxy, ForwardsAndHoldsBackByItself) {
  uint16_t port = 0;
  const int listener = Listen(port);
  auto proxy = RunningCutProxy::Start();
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  const absl::StatusOr<uint16_t> route = (*proxy)->AddRoute("a>b", port);
  ASSERT_TRUE(route.ok()) << route.status();
  const int client = Connect(*route);
  const int server = ::accept(listener, nullptr, nullptr);
  char heard[4];
  ASSERT_EQ(::send(client, "ping", 4, MSG_NOSIGNAL), 4);
  EXPECT_EQ(::recv(server, heard, 4, MSG_WAITALL), 4);

  ASSERT_TRUE((*proxy)->SetPasses("a>b", {.forth = false, .back = true}).ok());
  ASSERT_EQ(::send(client, "held", 4, MSG_NOSIGNAL), 4);
  ASSERT_EQ(::send(server, "pong", 4, MSG_NOSIGNAL), 4);
  EXPECT_EQ(::recv(client, heard, 4, MSG_WAITALL), 4);
  EXPECT_EQ(::recv(server, heard, 4, MSG_DONTWAIT), -1);
  EXPECT_EQ((*proxy)->SetPasses("b>c", {}).code(), absl::StatusCode::kNotFound);
  proxy->reset();
  EXPECT_EQ(::recv(server, heard, 4, 0), 0) << "the connection should end with the proxy";
  for (const int file : {client, server, listener}) ::close(file);
}

// Sends and gets datagrams at port 7000 of a host, in this thread's network or another.
class Post {
 public:
  Post(std::string host, int network) : host_(std::move(host)) {
    const int own = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (network >= 0) {
      EXPECT_EQ(::setns(network, CLONE_NEWNET), 0);
    }
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const sockaddr_in here = At(host_);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&here), sizeof(here)), 0);
    EXPECT_EQ(::setns(own, CLONE_NEWNET), 0);
    ::close(own);
  }
  ~Post() { ::close(socket_); }

  void Send(const Post& to, const std::string& text) {
    const sockaddr_in there = At(to.host_);
    EXPECT_EQ(::sendto(socket_, text.data(), text.size(), 0,
                       reinterpret_cast<const sockaddr*>(&there), sizeof(there)),
              static_cast<ssize_t>(text.size()));
  }
  // The next that arrives.
  std::string Get() {
    pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, 10'000) != 1) return "(nothing)";
    char buffer[64];
    const ssize_t got = ::recv(socket_, buffer, sizeof(buffer), 0);
    return got < 0 ? "(error)" : std::string(buffer, static_cast<size_t>(got));
  }

 private:
  static sockaddr_in At(const std::string& host) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(7000);
    EXPECT_EQ(::inet_pton(AF_INET, host.c_str(), &address.sin_addr), 1);
    return address;
  }

  const std::string host_;
  int socket_ = -1;
};

// What a chaos drill calls a cut is one: nothing passes, and what was sent meanwhile is lost.
TEST(LocalNetwork, LosesWhatIsSentWhereItIsCut) {
  if (const absl::Status allowed = LocalNetwork::Allow(); !allowed.ok()) {
    GTEST_SKIP() << allowed.message();
  }
  const ZoneId zone_a("a"), zone_b("b"), zone_c("c");
  const auto made = LocalNetwork::Make({zone_a, zone_b, zone_c}, LogPath());
  ASSERT_TRUE(made.ok()) << made.status();
  LocalNetwork& network = **made;
  const auto post_of = [&](const ZoneId& zone) {
    return Post(network.HostOf(zone), network.NamespaceOf(zone));
  };
  Post a = post_of(zone_a), b = post_of(zone_b), c = post_of(zone_c);
  Post client("0.0.0.0", -1);

  ASSERT_TRUE(network.SetCut(zone_a, /*outgoing=*/true, /*incoming=*/false).ok());
  a.Send(b, "lost");
  a.Send(c, "lost");
  b.Send(a, "from b");
  EXPECT_EQ(a.Get(), "from b");
  b.Send(c, "beside");
  EXPECT_EQ(c.Get(), "beside");
  client.Send(a, "from a client");
  EXPECT_EQ(a.Get(), "from a client");

  ASSERT_TRUE(network.SetCut(zone_a, /*outgoing=*/false, /*incoming=*/true).ok());
  b.Send(a, "lost");
  a.Send(b, "from a");
  EXPECT_EQ(b.Get(), "from a");
  client.Send(a, "from a client");
  EXPECT_EQ(a.Get(), "from a client");

  ASSERT_TRUE(network.SetCut(zone_a, /*outgoing=*/true, /*incoming=*/true).ok());
  a.Send(b, "lost");
  b.Send(a, "lost");
  ASSERT_TRUE(network.SetCut(zone_a, /*outgoing=*/false, /*incoming=*/false).ok());
  a.Send(b, "again");
  EXPECT_EQ(b.Get(), "again");
  b.Send(a, "again");
  EXPECT_EQ(a.Get(), "again");
}

// What a chaos drill calls a power cut is one. (G1)
TEST(LocalDisk, LosesWhatWasNotSyncedWhenItsPowerIsCut) {
  if (const absl::Status allowed = LocalDisk::Allow(); !allowed.ok()) {
    GTEST_SKIP() << allowed.message();
  }
  const std::string folder = ::testing::TempDir() + "/disk";
  const auto disk =
      LocalDisk::Make({.folder = folder, .log = folder + ".log", .size_bytes = 64 << 20});
  ASSERT_TRUE(disk.ok()) << disk.status();
  const int file = ::open((folder + "/file").c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_EQ(::write(file, "synced", 6), 6);
  ASSERT_EQ(::fsync(file), 0);
  ASSERT_EQ(::write(file, " and not", 8), 8);
  ASSERT_TRUE((*disk)->CutPower().ok());
  EXPECT_LT(::fsync(file), 0);
  ::close(file);
  const absl::Status back = (*disk)->RestorePower();
  ASSERT_TRUE(back.ok()) << back;
  std::ifstream again(folder + "/file");
  std::string text;
  std::getline(again, text);
  EXPECT_EQ(text, "synced");
  again.close();

  ASSERT_TRUE((*disk)->Fill().ok());
  const int more = ::open((folder + "/more").c_str(), O_WRONLY | O_CREAT, 0600);
  const std::string block(1 << 20, 'x');
  EXPECT_LT(::write(more, block.data(), block.size()), static_cast<ssize_t>(block.size()));
  EXPECT_TRUE((*disk)->MakeRoom().ok());
  EXPECT_EQ(::write(more, block.data(), block.size()), static_cast<ssize_t>(block.size()));
  ::close(more);
  ASSERT_TRUE((*disk)->CutPower().ok());
  ASSERT_TRUE((*disk)->RestorePower().ok());
  EXPECT_LT(std::filesystem::space(folder).capacity - (64 << 20) / 4,
            std::filesystem::space(folder).available)
      << "what was made room of is full again";
}

// What a chaos drill calls a clock jump is one, and a killed node leaves none of its tools behind.
TEST(LocalClock, LeapsInAProcessAndLeavesNothing) {
  if (const absl::Status allowed = LocalClock::Allow(); !allowed.ok()) {
    GTEST_SKIP() << allowed.message();
  }
  const LocalClock clock(::testing::TempDir() + "/leaping.clock");
  ASSERT_TRUE(clock.SetOff(absl::Hours(3)).ok());
  auto child = ChildProcess::Start(
      {.command = clock.Command({"sh", "-c", "while read line; do date +%s; done"}),
       .log = LogPath(),
       .talk = true});
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_TRUE((*child)->WriteLine("now").ok());
  const absl::StatusOr<std::string> told = (*child)->ReadLine();
  ASSERT_TRUE(told.ok()) << told.status();
  EXPECT_GT(std::stoll(*told), ::time(nullptr) + 2 * 60 * 60);

  const std::string memory = absl::StrCat("/dev/shm/faketime_shm_", (*child)->pid());
  const std::string lock = absl::StrCat("/dev/shm/sem.faketime_sem_", (*child)->pid());
  EXPECT_TRUE(std::filesystem::exists(memory)) << "libfaketime has other names now";
  (*child)->Signal(SIGKILL);
  ASSERT_TRUE((*child)->WaitForEnd(absl::Seconds(10)));
  LocalClock::TidyAfter((*child)->pid());
  EXPECT_FALSE(std::filesystem::exists(memory));
  EXPECT_FALSE(std::filesystem::exists(lock));
}

}  // namespace
}  // namespace forebay
