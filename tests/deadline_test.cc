// G2 and G3 on real nodes: what an append is told whose deadline ends it. FOREBAY_DEADLINE_APPENDS
// sets how many there are.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "forebay/v1/ingest.grpc.pb.h"
#include "runtime/random.h"
#include "support/shell.h"
#include "testbed/child_process.h"
#include "testbed/local_ports.h"
#include "wire/status_wire.h"

namespace forebay {
namespace {

constexpr absl::Duration kPatient = absl::Seconds(30);

int HowMany() {
  const char* const wanted = std::getenv("FOREBAY_DEADLINE_APPENDS");
  return wanted == nullptr ? 400 : std::atoi(wanted);
}

// Three nodes in three zones with a sink.
class DeadlineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(directory_);
    LocalPorts ports;
    for (const std::string zone : {"a", "b", "c"}) {
      addresses_.push_back(absl::StrCat("127.0.0.1:", ports.Take().value()));
      const std::string config = absl::StrCat(directory_, "/", zone, ".yaml");
      std::ofstream(config) << "node: " << zone << "1\nzone: " << zone
                            << "\ndata_directory: " << directory_ << "/" << zone
                            << "\nmetadata: sqlite:" << directory_
                            << "/metadata.db\nlisten: " << addresses_.back()
                            << "\nstreams:\n  - {name: web, partitions: 3}\n"
                            << "sinks:\n  - {name: out, stream: web, url: \"sqlite:" << directory_
                            << "/out.db\"}\n";
      auto node = ChildProcess::Start({.command = {FOREBAY_PROGRAM, "node", "--config", config},
                                       .log = absl::StrCat(directory_, "/", zone, ".log"),
                                       .talk = false});
      ASSERT_TRUE(node.ok()) << node.status();
      nodes_.push_back(*std::move(node));
      stubs_.push_back(v1::Ingest::NewStub(
          grpc::CreateChannel(addresses_.back(), grpc::InsecureChannelCredentials())));
    }
    ::setenv("FOREBAY_NODES", absl::StrJoin(addresses_, ",").c_str(), 1);
    ASSERT_EQ(Until("$F status > /dev/null && [ $($F status | grep -c ' up ') = 3 ]").code, 0);
  }
  void TearDown() override {
    nodes_.clear();
    std::filesystem::remove_all(directory_);
  }

  // The first event of a producer of its own, through any node.
  grpc::Status Append(const std::string& producer, const std::string& id, absl::Duration limit) {
    v1::AppendRequest request;
    request.set_stream("web");
    request.mutable_producer()->set_id(producer);
    request.set_partition(static_cast<uint32_t>(turn_ % 3));
    request.add_events()->set_id(id);
    v1::AppendResponse response;
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + limit));
    return stubs_[(turn_ / 3) % stubs_.size()]->Append(&context, request, &response);
  }
  static bool SaysNotStored(const grpc::Status& status) {
    const auto failure = FailureIn(status);
    if (failure.ok() && failure->results_size() == 1) {
      return failure->results(0).outcome() == v1::APPEND_OUTCOME_NOT_STORED;
    }
    switch (status.error_code()) {
      case grpc::StatusCode::UNAVAILABLE:
      case grpc::StatusCode::RESOURCE_EXHAUSTED:
      case grpc::StatusCode::FAILED_PRECONDITION:
      case grpc::StatusCode::NOT_FOUND:
        return true;
      default:
        return false;
    }
  }
  // An append with a short deadline; believes what it is told, and then uses the sequence for
  // another event.
  void AppendInAHurry(absl::Duration limit) {
    turn_++;
    const std::string name = absl::StrCat("hurried-", turn_);
    const grpc::Status status = Append(name, name, limit);
    if (status.ok()) {
      acknowledged_.insert(name);
    } else if (SaysNotStored(status)) {
      not_stored_.insert(name);
      const std::string other = absl::StrCat("other-", turn_);
      const grpc::Status reused = Append(name, other, kPatient);
      EXPECT_TRUE(reused.ok()) << "the sequence is not free: " << reused.error_message();
      if (reused.ok()) acknowledged_.insert(other);
    } else {
      unknown_.insert(name);
    }
  }
  // Appends patiently to every partition and waits until the sink has that; then it has all that
  // was stored before. How often each id is there.
  std::map<std::string, int> Delivered() {
    for (int i = 0; i < 3; i++) {
      turn_++;
      const std::string name = absl::StrCat("last-", turn_);
      const grpc::Status status = Append(name, name, kPatient);
      EXPECT_TRUE(status.ok()) << status.error_message();
    }
    std::map<std::string, int> ids;
    const absl::Time end = absl::Now() + kPatient;
    do {
      ids = ReadSink();
    } while (absl::Now() < end && std::count_if(ids.begin(), ids.end(), [](const auto& id) {
                                    return id.first.starts_with("last-");
                                  }) < 3);
    return ids;
  }
  std::map<std::string, int> ReadSink() {
    sqlite3* database = nullptr;
    sqlite3_open((directory_ + "/out.db").c_str(), &database);
    sqlite3_busy_timeout(database, 30'000);
    std::map<std::string, int> ids;
    const auto count = [](void* into, int, char** values, char**) {
      (*static_cast<std::map<std::string, int>*>(into))[values[0]]++;
      return 0;
    };
    sqlite3_exec(database, "SELECT id FROM events", count, &ids, nullptr);
    sqlite3_close(database);
    return ids;
  }
  void Check() {
    std::map<std::string, int> delivered = Delivered();
    size_t lies = 0, lost = 0, twice = 0;
    for (const std::string& id : not_stored_) lies += delivered.contains(id);
    for (const std::string& id : acknowledged_) lost += !delivered.contains(id);
    for (const auto& [id, times] : delivered) twice += times > 1;
    std::cout << turn_ << " appends: " << acknowledged_.size() << " acknowledged, "
              << not_stored_.size() << " told not stored, of which " << lies << " are stored, "
              << unknown_.size() << " unknown" << std::endl;
    EXPECT_EQ(lies, 0u) << "were told not stored, and are stored";
    EXPECT_EQ(lost, 0u) << "were acknowledged, and are not stored";
    EXPECT_EQ(twice, 0u);
  }

  const std::string directory_ =
      absl::StrCat(::testing::TempDir(), "/forebay-deadline-", ::getpid());
  std::vector<std::string> addresses_;
  std::vector<std::unique_ptr<ChildProcess>> nodes_;
  std::vector<std::unique_ptr<v1::Ingest::Stub>> stubs_;
  Random random_{14};
  size_t turn_ = 0;
  std::set<std::string> acknowledged_, not_stored_, unknown_;
};

TEST_F(DeadlineTest, IsNeverToldNotStoredOfWhatIsStored) {
  for (int i = 0; i < HowMany(); i++) {
    AppendInAHurry(random_.Between(absl::Microseconds(500), absl::Milliseconds(6)));
  }
  EXPECT_GT(unknown_.size(), 0u) << "no deadline hit an append under way";
  Check();
}

TEST_F(DeadlineTest, IsNeverToldNotStoredOfWhatAPausedOwnerStoresLater) {
  for (int round = 0; round < std::max(2, HowMany() / 100); round++) {
    const absl::Duration pause = random_.Between(absl::Milliseconds(200), absl::Milliseconds(700));
    ChildProcess& node = *nodes_[static_cast<size_t>(round) % nodes_.size()];
    std::atomic<bool> paused{true};
    node.Signal(SIGSTOP);
    std::thread waker([&, until = absl::Now() + pause] {
      std::this_thread::sleep_until(absl::ToChronoTime(until));
      ::kill(node.pid(), SIGCONT);
      paused = false;
    });
    while (paused) {
      AppendInAHurry(random_.Between(absl::Milliseconds(20), absl::Milliseconds(200)));
    }
    waker.join();
  }
  Check();
}

}  // namespace
}  // namespace forebay
