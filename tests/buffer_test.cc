// Whole nodes in one process: real stores, real gRPC, a metadata file that they share.
#include "forebay/buffer.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "forebay/client.h"
#include "forebay/v1/ingest.grpc.pb.h"
#include "support/memory_sink.h"

namespace forebay {
namespace {

class BufferTest : public testing::Test {
 protected:
  BufferTest() { std::filesystem::create_directories(directory_); }
  ~BufferTest() override {
    nodes_.clear();
    std::filesystem::remove_all(directory_);
  }

  BufferOptions OptionsOf(const std::string& name, int copies) {
    BufferOptions options;
    options.node = NodeId(name + "1");
    options.zone = ZoneId(name);
    options.data_directory = directory_ / name;
    options.metadata = absl::StrCat("sqlite:", (directory_ / "metadata.db").string());
    StreamOptions stream;
    stream.name = StreamId("web");
    stream.partitions = 3;
    stream.copies = copies;
    stream.ack_copies = stream.ack_zones = copies > 1 ? 2 : 1;
    options.streams = {stream};
    SinkBinding sink;
    sink.name = SinkId("memory");
    sink.stream = StreamId("web");
    sink.sink = std::make_shared<MemorySink>(downstream_);
    sink.keep_after_delivery = absl::Milliseconds(100);
    options.sinks = {sink};
    return options;
  }
  void Open(const std::string& name, int copies) {
    absl::StatusOr<std::unique_ptr<Buffer>> node = Buffer::Open(OptionsOf(name, copies));
    ASSERT_TRUE(node.ok()) << node.status();
    nodes_[name] = *std::move(node);
  }
  // Waits for that many in the sink; how often it holds each payload then.
  std::map<std::string, int> Delivered(size_t count, absl::Duration limit) {
    std::map<std::string, int> times;
    for (const Event& event : downstream_->WaitForEvents(count, limit)) times[event.payload]++;
    return times;
  }
  static Event Numbered(int number) {
    Event event;
    event.key = absl::StrCat("key-", number % 17);
    event.payload = absl::StrCat(number);
    return event;
  }

  const std::filesystem::path directory_ =
      std::filesystem::path(testing::TempDir()) /
      absl::StrCat("forebay-buffer-", ::getpid(), "-",
                   testing::UnitTest::GetInstance()->current_test_info()->name());
  std::shared_ptr<MemoryDownstream> downstream_ = std::make_shared<MemoryDownstream>();
  std::map<std::string, std::unique_ptr<Buffer>> nodes_;
};

TEST_F(BufferTest, TakesEventsAndHandsEachToTheSinkOnce) {
  Open("a", 1);
  std::atomic<int> acknowledged{0};
  for (int i = 0; i < 1000; i++) {
    nodes_["a"]->Append(StreamId("web"), Numbered(i), [&](const AppendResult& result) {
      acknowledged += result.outcome == Outcome::kAcknowledged;
    });
  }
  ASSERT_TRUE(nodes_["a"]->Flush(absl::Seconds(30)).ok());
  EXPECT_EQ(acknowledged, 1000);
  const auto held = Delivered(1000, absl::Seconds(30));
  EXPECT_EQ(held.size(), 1000u);
  EXPECT_TRUE(nodes_["a"]->Close(absl::Seconds(10)).ok());
  EXPECT_EQ(nodes_["a"]->Append(StreamId("web"), Numbered(0)).outcome, Outcome::kNotStored);
}

TEST_F(BufferTest, SaysThatThereIsNoSuchStream) {
  Open("a", 1);
  const AppendResult result = nodes_["a"]->Append(StreamId("nothing"), Numbered(0));
  EXPECT_EQ(result.outcome, Outcome::kNotStored);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kNotFound);
}

// With one zone of two alive nothing can be acknowledged. batch.give_up_after holds for whoever
// appends through this node, with an identity or without.
TEST_F(BufferTest, GivesUpAppendsOfOthersWhenItsSettingSays) {
  BufferOptions options = OptionsOf("a", 2);
  options.batch.give_up_after = absl::Milliseconds(300);
  absl::StatusOr<std::unique_ptr<Buffer>> node = Buffer::Open(std::move(options));
  ASSERT_TRUE(node.ok()) << node.status();
  const auto stub = v1::Ingest::NewStub(
      grpc::CreateChannel((*node)->address(), grpc::InsecureChannelCredentials()));
  for (const bool producer : {false, true}) {
    v1::AppendRequest request;
    request.set_stream("web");
    request.add_events()->set_payload("x");
    if (producer) request.mutable_producer()->set_id("p");
    v1::AppendResponse response;
    grpc::ClientContext context;
    const grpc::Status status = stub->Append(&context, request, &response);
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.error_message().find("300ms"), std::string::npos)
        << "producer " << producer << ": " << status.error_message();
  }
}

TEST_F(BufferTest, GoesOnAfterARestart) {
  Open("a", 1);
  ASSERT_TRUE(nodes_["a"]->Append(StreamId("web"), Numbered(1)).status.ok());
  nodes_.clear();
  Open("a", 1);
  ASSERT_TRUE(nodes_["a"]->Append(StreamId("web"), Numbered(2)).status.ok());
  const auto held = Delivered(2, absl::Seconds(30));
  EXPECT_EQ(held, (std::map<std::string, int>{{"1", 1}, {"2", 1}}));
}

TEST_F(BufferTest, AcknowledgesInTwoZonesAndGoesOnWithoutAThird) {
  for (const char* name : {"a", "b", "c"}) Open(name, 3);
  ClientOptions options;
  options.nodes = {nodes_["a"]->address(), nodes_["b"]->address()};
  options.stream = StreamId("web");
  absl::StatusOr<std::unique_ptr<Client>> client = Client::Connect(options);
  ASSERT_TRUE(client.ok()) << client.status();
  std::atomic<int> acknowledged{0};
  const auto count = [&](const AppendResult& result) {
    acknowledged += result.outcome == Outcome::kAcknowledged && result.zones >= 2;
  };
  for (int i = 0; i < 500; i++) (*client)->Append(Numbered(i), count);
  ASSERT_TRUE((*client)->Flush(absl::Seconds(30)).ok());
  EXPECT_TRUE(nodes_["c"]->Close(absl::Seconds(10)).ok());
  nodes_.erase("c");
  for (int i = 500; i < 1000; i++) (*client)->Append(Numbered(i), count);
  ASSERT_TRUE((*client)->Flush(absl::Seconds(30)).ok());
  EXPECT_EQ(acknowledged, 1000);
  const auto held = Delivered(1000, absl::Seconds(30));
  EXPECT_EQ(held.size(), 1000u);
  for (const auto& [payload, times] : held) EXPECT_EQ(times, 1) << payload;
}

// SQLite serves reads meanwhile, so only a write shows it.
TEST_F(BufferTest, OpenSegmentsGoOnWhileTheMetadataFileIsLockedAndANodeDies) {
  for (const char* name : {"a", "b", "c"}) Open(name, 3);
  const auto append_everywhere = [&] {
    for (const char* name : {"a", "b"}) {  // events without a key stay in the zone
      nodes_[name]->Append(StreamId("web"), Event(), [](const AppendResult&) {});
      ASSERT_TRUE(nodes_[name]->Flush(absl::Seconds(30)).ok()) << name;
    }
  };
  append_everywhere();
  sqlite3* lock = nullptr;
  ASSERT_EQ(sqlite3_open((directory_ / "metadata.db").c_str(), &lock), SQLITE_OK);
  sqlite3_busy_timeout(lock, 20000);
  ASSERT_EQ(sqlite3_exec(lock, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  nodes_.erase("c");
  // As long as the others take to miss it and to want segments without it, several times.
  const absl::Time end = absl::Now() + absl::Seconds(6);
  while (absl::Now() < end && !HasFatalFailure()) append_everywhere();
  sqlite3_close(lock);
  append_everywhere();
}

TEST_F(BufferTest, NamesTheSettingThatIsWrong) {
  BufferOptions options = OptionsOf("a", 1);
  options.metadata = "mysql:somewhere";
  const absl::Status status = Buffer::Open(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("metadata"), std::string::npos) << status;
}

TEST_F(BufferTest, RefusesADataDirectoryInUse) {
  Open("a", 1);
  EXPECT_EQ(Buffer::Open(OptionsOf("a", 1)).status().code(), absl::StatusCode::kAlreadyExists);
}

}  // namespace
}  // namespace forebay
