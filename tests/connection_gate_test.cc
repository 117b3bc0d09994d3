// A limit on connections, by plain sockets.
#include "rpc/connection_gate.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

using ::testing::HasSubstr;

class ConnectionGateTest : public testing::Test {
 protected:
  void Listen(size_t connections_max) {
    auto gate = ConnectionGate::Listen("127.0.0.1:0", connections_max);
    ASSERT_TRUE(gate.ok()) << gate.status();
    gate_ = *std::move(gate);
  }
  void Start() {
    gate_->Start([this](int descriptor) {
      MutexLock lock(mutex_);
      served_.emplace_back(descriptor);
      changed_.SignalAll();
    });
  }
  Descriptor Connect() {
    Descriptor caller(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{.tv_sec = 20, .tv_usec = 0};  // for a test that fails
    setsockopt(caller.number(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(gate_->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(caller.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    return caller;
  }
  void WaitUntilServed(size_t count) {
    MutexLock lock(mutex_);
    while (served_.size() < count) changed_.Wait(mutex_);
  }
  // As gRPC does when a caller goes: without a word to the gate. Its number.
  int CloseFirst() {
    MutexLock lock(mutex_);
    const int number = served_.front().number();
    served_.erase(served_.begin());
    return number;
  }
  // Returns when the other side has closed it.
  static void WaitForEnd(const Descriptor& caller) {
    char byte = 0;
    const ssize_t received = recv(caller.number(), &byte, 1, 0);
    EXPECT_TRUE(received == 0 || (received < 0 && errno == ECONNRESET)) << errno;
  }

  Mutex mutex_;
  CondVar changed_;
  std::vector<Descriptor> served_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<ConnectionGate> gate_;  // last: it ends before what it uses
};

TEST_F(ConnectionGateTest, ClosesWhatComesBeyondTheLimit) {
  Listen(2);
  Start();
  const Descriptor one = Connect(), other = Connect();
  WaitUntilServed(2);
  const Descriptor third = Connect();
  WaitForEnd(third);
  const ConnectionStats stats = gate_->stats();
  EXPECT_EQ(stats.open, 2u);
  EXPECT_EQ(stats.taken, 2u);
  EXPECT_EQ(stats.refused, 1u);
}

TEST_F(ConnectionGateTest, TakesAgainOnceOneIsClosed) {
  Listen(1);
  Start();
  const Descriptor one = Connect();
  WaitUntilServed(1);
  CloseFirst();
  const Descriptor next = Connect();
  WaitUntilServed(1);
  EXPECT_EQ(gate_->stats().refused, 0u);
  EXPECT_EQ(gate_->stats().taken, 2u);
}

TEST_F(ConnectionGateTest, CountsNoOtherFileThatGotTheNumberOfAClosedOne) {
  Listen(1);
  Start();
  const Descriptor one = Connect();
  WaitUntilServed(1);
  const int number = CloseFirst();
  std::vector<Descriptor> files;
  while (files.empty() || files.back().number() < number) files.emplace_back(eventfd(0, 0));
  EXPECT_EQ(gate_->stats().open, 0u);
  const Descriptor next = Connect();
  WaitUntilServed(1);
}

TEST_F(ConnectionGateTest, WhoCameBeforeTheStartIsServed) {
  Listen(2);
  const Descriptor early = Connect();
  Start();
  WaitUntilServed(1);
}

TEST_F(ConnectionGateTest, LeavesItsAddressToTheNextOnceStopped) {
  Listen(2);
  Start();
  const Descriptor one = Connect();
  WaitUntilServed(1);
  const std::string address = absl::StrCat("127.0.0.1:", gate_->port());
  EXPECT_THAT(std::string(ConnectionGate::Listen(address, 2).status().message()),
              HasSubstr("the port is taken"));
  gate_->Stop();
  EXPECT_TRUE(ConnectionGate::Listen(address, 2).ok());
}

TEST_F(ConnectionGateTest, SaysWhatIsWrongWithAnAddress) {
  for (const char* address : {"", "nonsense", "127.0.0.1:port", "[::1", "192.0.2.1:0"}) {
    const auto gate = ConnectionGate::Listen(address, 2);
    EXPECT_EQ(gate.status().code(), absl::StatusCode::kUnavailable) << address;
  }
  EXPECT_TRUE(ConnectionGate::Listen("localhost:0", 2).ok());
}

}  // namespace
}  // namespace forebay
