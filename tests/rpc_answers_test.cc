// What callers are told by a node that does not know enough, and of requests that are not right.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/printable.h"
#include "base/status.h"
#include "forebay/v1/admin.grpc.pb.h"
#include "forebay/v1/ingest.grpc.pb.h"
#include "metadata/stream_directory.h"
#include "records/records.h"
#include "support/served_node.h"
#include "wire/status_wire.h"

namespace forebay {
namespace {

using ::testing::HasSubstr;

class AnswersTest : public testing::Test {
 protected:
  AnswersTest()
      : channel_(grpc::CreateChannel(node_.address(), grpc::InsecureChannelCredentials())),
        ingest_(v1::Ingest::NewStub(channel_)),
        admin_(v1::Admin::NewStub(channel_)) {
    node_.Serve();
  }

  // Every method that takes a stream's name, by name.
  std::map<std::string, absl::Status> AskAllOf(const std::string& stream) {
    std::map<std::string, absl::Status> answers;
    for (const bool producer : {false, true}) {
      v1::AppendRequest request;
      request.set_stream(stream);
      request.add_events()->set_payload("x");
      if (producer) request.mutable_producer()->set_id("p");
      v1::AppendResponse response;
      grpc::ClientContext context;
      answers[producer ? "Append as producer" : "Append"] =
          FromGrpc(ingest_->Append(&context, request, &response));
    }
    const auto ask = [&](const std::string& name, auto request, auto response, const auto& call) {
      request.set_stream(stream);
      grpc::ClientContext context;
      answers[name] = FromGrpc(call(&context, request, &response));
    };
    ask("Describe", v1::DescribeRequest(), v1::DescribeResponse(),
        [&](auto... with) { return ingest_->Describe(with...); });
    ask("TakeOver", v1::TakeOverRequest(), v1::TakeOverResponse(),
        [&](auto... with) { return ingest_->TakeOver(with...); });
    ask("Admin.TakeOver", v1::AdminTakeOverRequest(), v1::AdminTakeOverResponse(),
        [&](auto... with) { return admin_->TakeOver(with...); });
    ask("Admin.Move", v1::MoveRequest(), v1::MoveResponse(),
        [&](auto... with) { return admin_->Move(with...); });
    answers["Tail"] = Tail(stream);
    answers["AppendBlocks"] = AppendBlock(stream);
    return answers;
  }
  absl::Status Tail(const std::string& stream) {
    v1::TailRequest request;
    request.set_stream(stream);
    grpc::ClientContext context;
    const auto reader = ingest_->Tail(&context, request);
    v1::TailResponse response;
    while (reader->Read(&response)) {
    }
    return FromGrpc(reader->Finish());
  }
  absl::Status AppendBlock(const std::string& stream) {
    grpc::ClientContext context;
    const auto calls = ingest_->AppendBlocks(&context);
    v1::AppendBlocksRequest request;
    v1::BlockAppend& append = *request.add_blocks();
    append.set_stream(stream);
    Event event;
    append.set_block(
        std::string(EncodeBlock({ProducerId("q"), 0, 0}, {&event, 1}, Codec::kNone)->bytes()));
    calls->Write(request);
    calls->WritesDone();
    v1::AppendBlocksResponse response;
    v1::BlockResult result;
    while (calls->Read(&response)) result = response.results(0);
    EXPECT_TRUE(calls->Finish().ok());
    absl::Status status(static_cast<absl::StatusCode>(result.code()), result.message());
    if (result.retry_after_ms() == 0) return status;
    return WithRetryAfter(status, absl::Milliseconds(result.retry_after_ms()));
  }

  ServedNode node_{"a"};
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Ingest::Stub> ingest_;
  std::unique_ptr<v1::Admin::Stub> admin_;
};

// NOT_FOUND is for good: a producer gives up on it.
TEST_F(AnswersTest, NeverSayNotFoundBeforeTheMetadataStoreHasSaidSo) {
  node_.backend().CreateElsewhere("late", 1);
  node_.backend().SetStoreDown(true);
  for (const auto& [method, status] : AskAllOf("late")) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << method << ": " << status;
    EXPECT_TRUE(RetryAfter(status).has_value()) << method;
  }
}

TEST_F(AnswersTest, FindAStreamThatTheNodeHasNotHeardOfYet) {
  node_.backend().CreateElsewhere("late", 1);
  for (const auto& [method, status] : AskAllOf("late")) {
    EXPECT_TRUE(status.ok()) << method << ": " << status;
  }
}

// Later blocks must not overtake the one that waits for the look-up: it is sent again.
TEST_F(AnswersTest, TellABlocksSenderToComeAgainOnceTheStreamIsKnown) {
  node_.backend().CreateElsewhere("late", 1);
  const absl::Status first = AppendBlock("late");
  EXPECT_EQ(first.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(RetryAfter(first).has_value());
  EXPECT_TRUE(AppendBlock("late").ok());
}

TEST_F(AnswersTest, SayNotFoundOfWhatIsNotThere) {
  for (const auto& [method, status] : AskAllOf("wep")) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << method;
    EXPECT_THAT(std::string(status.message()), HasSubstr("there is no stream 'wep'")) << method;
  }
}

// In one place, so that no retryable answer lacks it.
TEST(StatusOnTheWire, CarriesAWaitWhereverSendingAgainHelps) {
  using Code = absl::StatusCode;
  for (int code = 1; code <= 16; code++) {
    const absl::Status status(static_cast<Code>(code), "x");
    const bool again = status.code() == Code::kUnavailable || status.code() == Code::kAborted ||
                       status.code() == Code::kResourceExhausted ||
                       status.code() == Code::kDeadlineExceeded;
    EXPECT_EQ(RetryAfter(FromGrpc(ToGrpc(status))).has_value(), again) << status;
    const absl::Status asked = WithRetryAfter(status, absl::Milliseconds(30));
    EXPECT_EQ(RetryAfter(FromGrpc(ToGrpc(asked))), absl::Milliseconds(30)) << status;
  }
}

TEST(StatusOnTheWire, IsNeverLargerThanHeadersMayBe) {
  const grpc::Status status = ToGrpc(absl::UnavailableError(std::string(100'000, 'x')));
  EXPECT_LT(status.error_message().size() + status.error_details().size(), 4096u);
}

TEST(Shown, CutsAndEscapesNamesFromOutside) {
  EXPECT_EQ(Shown("web"), "web");
  EXPECT_EQ(Shown("b\xC3\xA4r"), "b\xC3\xA4r");
  EXPECT_EQ(Shown("a\n\x1b[2J"), "a\\n\\x1b[2J");
  EXPECT_EQ(Shown(std::string(100, 'x')), std::string(80, 'x') + "... (100 bytes)");
  EXPECT_EQ(Shown(std::string(79, 'x') + "\xC3\xA4"), std::string(79, 'x') + "... (81 bytes)")
      << "never half a character";
}

// Requests as any program may send them.
class RawTest : public AnswersTest {
 protected:
  absl::Status Call(const std::string& method, const std::string& request) {
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    const grpc::Slice slice(request);
    grpc::ByteBuffer bytes(&slice, 1), answer;
    const auto call = stub.PrepareUnaryCall(&context, method, bytes, &queue);
    call->StartCall();
    grpc::Status status;
    call->Finish(&answer, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return FromGrpc(status);
  }
  static std::vector<std::string> Methods() {
    std::vector<std::string> methods;
    for (const char* name : {"Append", "Tail", "Describe", "TakeOver"}) {
      methods.push_back(absl::StrCat("/forebay.v1.Ingest/", name));
    }
    for (const char* name : {"TakeOver", "Move", "DrainNode", "SetMaintenance", "CreateStream"}) {
      methods.push_back(absl::StrCat("/forebay.v1.Admin/", name));
    }
    return methods;
  }
};

TEST_F(RawTest, SaysWhatIsWrongWithARequestThatIsNoProtobuf) {
  for (const std::string& method : Methods()) {
    const absl::Status status = Call(method, "{\"stream\": \"web\"}");
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << method << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("not protobuf")) << method;
  }
  EXPECT_EQ(Call("/forebay.v1.Admin/Status", "{}").code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(RawTest, SaysThatATextIsNotUtf8) {
  for (const std::string& method : Methods()) {
    const absl::Status status = Call(method, "\x0a\x02\xff\xfe");  // field 1, two bytes
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << method << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("not UTF-8")) << method;
  }
}

TEST_F(RawTest, NamesTheLimitOfARequestThatIsTooLarge) {
  for (const std::string& method : Methods()) {
    const absl::Status status = Call(method, std::string((8 << 20) + 1, 'x'));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << method << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("the limit is 8388608")) << method;
  }
}

TEST_F(RawTest, ShowsLongNamesCutInMessagesThatArrive) {
  for (const auto& [method, status] : AskAllOf(std::string(100'000, 'x') + "\n")) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << method;
    EXPECT_THAT(std::string(status.message()), HasSubstr("(100001 bytes)")) << method;
    EXPECT_LT(status.message().size(), 500u) << method;
  }
}

// A store whose watch has told nothing yet, and which may be unreachable.
class SilentStore final : public MetadataStore {
 public:
  void Read(std::string key, ReadDone done) override {
    reads.push_back([this, key, done = std::move(done)]() mutable {
      if (down) return done(absl::UnavailableError("no etcd"));
      const auto found = records.find(key);
      if (found == records.end()) return done(std::nullopt);
      done(MetadataRecord{key, found->second, 1});
    });
  }
  void List(std::string, ListDone) override {}
  void CompareAndSwap(std::string, uint64_t, std::string, SwapDone) override {}
  void Watch(std::string, Changed) override {}
  void AnswerAll() {
    for (auto& read : std::exchange(reads, {})) read();
  }

  bool down = false;
  std::map<std::string, std::string> records;
  std::vector<absl::AnyInvocable<void()>> reads;
};

class StreamDirectoryTest : public testing::Test {
 protected:
  void LookUp(const std::string& name) {
    directory_.LookUp(StreamId(name), [this](absl::StatusOr<StreamOptions> found) {
      answers_.push_back(found.status());
    });
  }
  SilentStore store_;
  StreamDirectory directory_{store_};
  std::vector<absl::Status> answers_;
};

TEST_F(StreamDirectoryTest, LooksInTheStoreForWhatItHasNotHeardOf) {
  StreamOptions web;
  web.name = StreamId("web");
  store_.records[StreamKey(web.name)] = Encode(web);
  EXPECT_FALSE(directory_.Find(web.name).has_value());
  LookUp("web");
  LookUp("wep");
  store_.AnswerAll();
  ASSERT_EQ(answers_.size(), 2u);
  EXPECT_TRUE(answers_[0].ok()) << answers_[0];
  EXPECT_EQ(answers_[1].code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(directory_.Find(web.name).has_value()) << "it knows now";
}

TEST_F(StreamDirectoryTest, DoesNotTakeAnUnreachableStoreForAnAnswer) {
  store_.down = true;
  LookUp("web");
  store_.AnswerAll();
  EXPECT_EQ(answers_.at(0).code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(RetryAfter(answers_[0]).has_value());
}

TEST_F(StreamDirectoryTest, AsksForSoManyUnknownStreamsAtOnceAndNoMore) {
  for (int i = 0; i < StreamDirectory::kLookUpsMax + 1; i++) LookUp(absl::StrCat("s", i));
  EXPECT_EQ(store_.reads.size(), static_cast<size_t>(StreamDirectory::kLookUpsMax));
  EXPECT_EQ(answers_.at(0).code(), absl::StatusCode::kUnavailable);
  store_.AnswerAll();
  LookUp("s0");
  EXPECT_EQ(store_.reads.size(), 1u) << "there is room again";
}

}  // namespace
}  // namespace forebay
