#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "forebay/v1/ingest.grpc.pb.h"
#include "support/inbox.h"
#include "support/served_node.h"
#include "wire/status_wire.h"

namespace forebay {
namespace {

const PartitionId kFirst{StreamId("web"), 0};

// A program that knows only the .proto files, and one node.
class IngestTest : public testing::Test {
 protected:
  IngestTest() {
    RpcServerOptions options;
    options.relay_limit = absl::Seconds(2);
    node_ = std::make_unique<ServedNode>("a", options);
    channel_ = grpc::CreateChannel(node_->address(), grpc::InsecureChannelCredentials());
    stub_ = v1::Ingest::NewStub(channel_);
  }

  static v1::AppendRequest Request(const std::vector<std::string>& payloads) {
    v1::AppendRequest request;
    request.set_stream("web");
    for (const std::string& payload : payloads) request.add_events()->set_payload(payload);
    return request;
  }
  static v1::AppendRequest RequestOf(const std::string& producer, uint64_t sequence,
                                     const std::vector<std::string>& payloads) {
    v1::AppendRequest request = Request(payloads);
    request.mutable_producer()->set_id(producer);
    request.mutable_producer()->set_first_sequence(sequence);
    request.set_partition(0);
    return request;
  }
  grpc::Status Append(const v1::AppendRequest& request) {
    grpc::ClientContext context;
    response_.Clear();
    return stub_->Append(&context, request, &response_);
  }
  struct Tailed {
    std::vector<std::string> events;  // "offset:payload"
    std::optional<uint64_t> begins;   // as the first response says
    uint64_t goes_on = 0;             // as the last response says
    grpc::Status status;
  };
  Tailed Tail(const v1::TailRequest& request) {
    grpc::ClientContext context;
    const auto reader = stub_->Tail(&context, request);
    Tailed tailed;
    v1::TailResponse response;
    while (reader->Read(&response)) {
      tailed.goes_on = response.next_offset();
      if (!tailed.begins.has_value()) tailed.begins = response.next_offset();
      for (const v1::TailEvent& event : response.events()) {
        tailed.events.push_back(std::to_string(event.offset()) + ":" + event.event().payload());
      }
    }
    tailed.status = reader->Finish();
    return tailed;
  }
  static v1::TailRequest TailFrom(uint64_t offset) {
    v1::TailRequest request;
    request.set_stream("web");
    request.set_offset(offset);
    return request;
  }
  // Calls a method of a service whose .proto we do not build; the answer's bytes.
  std::string CallRaw(const std::string& method, const std::string& request) {
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    const grpc::Slice slice(request);
    const grpc::ByteBuffer bytes(&slice, 1);
    auto stream = stub.PrepareCall(&context, method, &queue);
    grpc::ByteBuffer answer;
    grpc::Status status;
    void* tag = nullptr;
    bool ok = false;
    stream->StartCall(nullptr);
    queue.Next(&tag, &ok);
    stream->Write(bytes, nullptr);
    queue.Next(&tag, &ok);
    stream->WritesDone(nullptr);
    queue.Next(&tag, &ok);
    stream->Read(&answer, nullptr);
    queue.Next(&tag, &ok);
    stream->Finish(&status, nullptr);
    queue.Next(&tag, &ok);
    EXPECT_TRUE(status.ok()) << status.error_message();
    grpc::Slice out;
    if (!answer.Valid() || !answer.DumpToSingleSlice(&out).ok()) return "";
    return {reinterpret_cast<const char*>(out.begin()), out.size()};
  }

  std::unique_ptr<ServedNode> node_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Ingest::Stub> stub_;
  v1::AppendResponse response_;
};

TEST_F(IngestTest, AnswersWhereEachEventIsStored) {
  node_->Serve();
  ASSERT_TRUE(Append(Request({"x", "y"})).ok());
  ASSERT_EQ(response_.results_size(), 2);
  EXPECT_EQ(response_.results(0).offset(), 0u);
  EXPECT_EQ(response_.results(1).offset(), 1u);
  EXPECT_EQ(response_.results(1).zones(), 2u);
  EXPECT_EQ(response_.results(1).outcome(), v1::APPEND_OUTCOME_ACKNOWLEDGED);
  EXPECT_FALSE(response_.results(0).id().empty());
  EXPECT_NE(response_.results(0).id(), response_.results(1).id());
}

// G3
TEST_F(IngestTest, StoresARepeatedAppendOfOneIdentityOnce) {
  node_->Serve();
  ASSERT_TRUE(Append(Request({"before"})).ok());
  ASSERT_TRUE(Append(RequestOf("p", 0, {"x", "y"})).ok());
  const v1::AppendResponse first = response_;
  ASSERT_TRUE(Append(RequestOf("p", 0, {"x", "y"})).ok());
  EXPECT_EQ(response_.SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(response_.results(1).offset(), 2u);
  EXPECT_EQ(node_->backend().BlockCount(kFirst), 2u);
}

TEST_F(IngestTest, KeepsOneProducerOnOnePartitionWhenNoneIsGiven) {
  node_->Serve();
  v1::AppendRequest request = RequestOf("p", 0, {"x"});
  request.clear_partition();
  ASSERT_TRUE(Append(request).ok());
  const uint32_t partition = response_.results(0).partition();
  request.mutable_producer()->set_first_sequence(1);
  ASSERT_TRUE(Append(request).ok());
  EXPECT_EQ(response_.results(0).partition(), partition);
  EXPECT_EQ(response_.results(0).offset(), 1u);
}

TEST_F(IngestTest, TriesAgainWhileTheOwnerIsNotReady) {
  node_->Serve();
  node_->backend().NextResult(Outcome::kNotStored, absl::UnavailableError("not the owner"));
  node_->backend().NextResult(Outcome::kUnknown, absl::AbortedError("segment is gone"));
  EXPECT_TRUE(Append(RequestOf("p", 0, {"x"})).ok());
}

// G2: a try that was not answered, then a refusal: nobody knows.
TEST_F(IngestTest, ReportsUnknownWhenARefusalFollowsAnUnansweredTry) {
  node_->Serve();
  node_->backend().NextResult(Outcome::kUnknown, absl::DeadlineExceededError("?"));
  node_->backend().NextResult(Outcome::kNotStored, absl::FailedPreconditionError("fenced"));
  const grpc::Status status = Append(RequestOf("p", 0, {"x"}));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  const auto failure = FailureIn(status);
  ASSERT_TRUE(failure.ok());
  EXPECT_EQ(failure->results(0).outcome(), v1::APPEND_OUTCOME_UNKNOWN);
}

// G2
TEST_F(IngestTest, ReportsUnknownWhenTheOwnerNeverAnswers) {
  node_->Serve();
  for (int i = 0; i < 100; i++) node_->backend().NextResult(std::nullopt);
  const grpc::Status status = Append(RequestOf("p", 0, {"x"}));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_NE(status.error_message().find("same producer identity"), std::string::npos);
}

TEST_F(IngestTest, SaysWhichEventsAreStoredWhenNotAllAre) {
  node_->Serve();
  AppendResult stored;
  stored.outcome = Outcome::kAcknowledged;
  stored.offset = Offset(9);
  node_->backend().NextResult(stored);
  node_->backend().NextResult(Outcome::kNotStored, absl::UnavailableError("no owner"));
  const grpc::Status status = Append(Request({"x", "y"}));
  // Not UNAVAILABLE: an ordinary client would send both again, and x would be there twice.
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  const auto failure = FailureIn(status);
  ASSERT_TRUE(failure.ok());
  EXPECT_EQ(failure->results(0).outcome(), v1::APPEND_OUTCOME_ACKNOWLEDGED);
  EXPECT_EQ(failure->results(0).offset(), 9u);
  EXPECT_EQ(failure->results(1).outcome(), v1::APPEND_OUTCOME_NOT_STORED);
}

TEST_F(IngestTest, RefusesWithACodeAndAMessageThatSaysWhatToDo) {
  node_->Serve();
  struct Case {
    v1::AppendRequest request;
    grpc::StatusCode code;
    std::string says;
  };
  v1::AppendRequest unknown_stream = Request({"x"});
  unknown_stream.set_stream("wep");
  v1::AppendRequest long_key = Request({"x", "y"});
  long_key.mutable_events(1)->set_key(std::string(1025, 'k'));
  v1::AppendRequest partition_alone = Request({"x"});
  partition_alone.set_partition(1);
  v1::AppendRequest no_such_partition = RequestOf("p", 0, {"x"});
  no_such_partition.set_partition(2);
  v1::AppendRequest too_many = Request(std::vector<std::string>(65537));
  const std::vector<Case> cases = {
      {unknown_stream, grpc::StatusCode::NOT_FOUND, "there is no stream 'wep'"},
      {Request({}), grpc::StatusCode::INVALID_ARGUMENT, "no event"},
      {Request({std::string((1 << 20) + 1, 'x')}), grpc::StatusCode::INVALID_ARGUMENT,
       "over the limit of 1048576"},
      {Request(std::vector<std::string>(5, std::string(1 << 20, 'x'))),
       grpc::StatusCode::INVALID_ARGUMENT, "in several requests"},
      {too_many, grpc::StatusCode::INVALID_ARGUMENT, "the limit is 65536"},
      {long_key, grpc::StatusCode::INVALID_ARGUMENT, "events[1]"},
      {partition_alone, grpc::StatusCode::INVALID_ARGUMENT, "'producer' identity"},
      {RequestOf(std::string(65, 'p'), 0, {"x"}), grpc::StatusCode::INVALID_ARGUMENT, "1 to 64"},
      {no_such_partition, grpc::StatusCode::NOT_FOUND, "partitions 0 to 1, not 2"},
  };
  for (const Case& one : cases) {
    const grpc::Status status = Append(one.request);
    EXPECT_EQ(status.error_code(), one.code) << one.says << ": " << status.error_message();
    EXPECT_NE(status.error_message().find(one.says), std::string::npos) << status.error_message();
  }
  EXPECT_EQ(node_->backend().BlockCount(kFirst), 0u);
}

TEST_F(IngestTest, PassesOnWhatTheOwnerSaysAndHowLongToWait) {
  node_->Serve();
  struct Case {
    Outcome outcome;
    absl::Status status;
    grpc::StatusCode code;
  };
  const absl::Status full =
      WithRetryAfter(absl::ResourceExhaustedError("window is full"), absl::Milliseconds(30));
  const absl::Status zones =
      WithRetryAfter(absl::UnavailableError("too few zones"), absl::Milliseconds(30));
  const std::vector<Case> cases = {
      {Outcome::kNotStored, full, grpc::StatusCode::RESOURCE_EXHAUSTED},
      {Outcome::kNotStored, zones, grpc::StatusCode::UNAVAILABLE},
      {Outcome::kUnknown, absl::AbortedError("gone"), grpc::StatusCode::DEADLINE_EXCEEDED},
  };
  for (const Case& one : cases) {
    node_->backend().NextResult(one.outcome, one.status);
    const grpc::Status status = Append(Request({"x"}));
    EXPECT_EQ(status.error_code(), one.code) << status.error_message();
    const absl::Duration wait = RetryAfter(one.status).value_or(absl::Milliseconds(100));
    EXPECT_EQ(RetryAfter(FromGrpc(status)), wait);
  }
  // With an identity, a refusal for good is passed on as it is.
  node_->backend().NextResult(Outcome::kNotStored, absl::FailedPreconditionError("gap: next is 3"));
  const grpc::Status fenced = Append(RequestOf("p", 7, {"x"}));
  EXPECT_EQ(fenced.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(fenced.error_message().find("next is 3"), std::string::npos);
}

TEST_F(IngestTest, AnswersUnavailableWithAHintUntilTheNodeServesAndWhenItStops) {
  const grpc::Status starting = Append(Request({"x"}));
  EXPECT_EQ(starting.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(RetryAfter(FromGrpc(starting)).has_value());
  node_->Serve();
  EXPECT_TRUE(Append(Request({"x"})).ok());
  node_->server().Quiesce();
  const grpc::Status stopping = Append(Request({"x"}));
  EXPECT_EQ(stopping.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(stopping.error_message().find("stopping"), std::string::npos);
  // Its partitions will be elsewhere soon: the gap is that of a hand-over.
  EXPECT_LE(RetryAfter(FromGrpc(stopping)).value_or(absl::InfiniteDuration()),
            absl::Milliseconds(20));
}

TEST_F(IngestTest, TellsItsHealthAsTheStandardServiceDoes) {
  const std::string serving("\x08\x01", 2), not_serving("\x08\x02", 2);
  EXPECT_EQ(CallRaw("/grpc.health.v1.Health/Check", ""), not_serving);
  node_->Serve();
  EXPECT_EQ(CallRaw("/grpc.health.v1.Health/Check", ""), serving);
  EXPECT_EQ(CallRaw("/grpc.health.v1.Health/Check",
                    "\x0a\x11"
                    "forebay.v1.Ingest"),
            serving);
  node_->server().Quiesce();
  EXPECT_EQ(CallRaw("/grpc.health.v1.Health/Check", ""), not_serving);
}

TEST_F(IngestTest, ListsItsServicesByReflection) {
  const std::string list_services("\x3a\x00", 2);
  const std::string answer =
      CallRaw("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", list_services);
  for (const char* name : {"forebay.v1.Ingest", "forebay.v1.Admin", "forebay.v1.Peer"}) {
    EXPECT_NE(answer.find(name), std::string::npos) << name;
  }
}

TEST_F(IngestTest, DescribesOwnersAndAddressesAndRefusesAnotherVersion) {
  node_->Serve();
  v1::DescribeRequest request;
  request.set_stream("web");
  v1::DescribeResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stub_->Describe(&context, request, &response).ok());
  ASSERT_EQ(response.partitions_size(), 2);
  EXPECT_EQ(response.partitions(1).partition(), 1u);
  EXPECT_EQ(response.partitions(1).owner(), "a");
  EXPECT_EQ(response.partitions(1).epoch(), 3u);
  EXPECT_EQ(response.nodes(0).address(), node_->address());
  request.set_protocol_version(9);
  grpc::ClientContext again;
  const grpc::Status status = stub_->Describe(&again, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(status.error_message().find("version 1, the caller version 9"), std::string::npos);
}

TEST_F(IngestTest, RefusesADamagedBlockAndAnUnknownStreamEachOnItsOwn) {
  node_->Serve();
  grpc::ClientContext context;
  const auto stream = stub_->AppendBlocks(&context);
  v1::AppendBlocksRequest request;
  for (uint64_t i = 1; i <= 3; i++) {
    v1::BlockAppend& append = *request.add_blocks();
    append.set_request(i);
    append.set_stream(i == 2 ? "wep" : "web");
    Event event;
    const Block block = *EncodeBlock({ProducerId("p"), 0, i}, {&event, 1}, Codec::kNone);
    append.set_block(std::string(block.bytes()));
  }
  request.mutable_blocks(0)->mutable_block()->back() ^= 1;
  ASSERT_TRUE(stream->Write(request));
  stream->WritesDone();
  std::map<uint64_t, v1::BlockResult> results;
  v1::AppendBlocksResponse response;
  while (stream->Read(&response)) {
    for (const auto& result : response.results()) results[result.request()] = result;
  }
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[1].outcome(), v1::APPEND_OUTCOME_NOT_STORED);
  EXPECT_EQ(results[1].code(), static_cast<uint32_t>(absl::StatusCode::kDataLoss));
  EXPECT_EQ(results[2].code(), static_cast<uint32_t>(absl::StatusCode::kNotFound));
  EXPECT_EQ(results[3].outcome(), v1::APPEND_OUTCOME_ACKNOWLEDGED);
  EXPECT_EQ(results[3].offset(), 0u);
}

TEST_F(IngestTest, TailsFromTheMiddleOfABlockToTheLastCommittedEvent) {
  node_->Serve();
  ASSERT_TRUE(Append(RequestOf("p", 0, {"a", "b", "c"})).ok());
  for (const char* payload : {"d", "e", "f", "g"}) ASSERT_TRUE(Append(Request({payload})).ok());
  const Tailed tailed = Tail(TailFrom(1));
  EXPECT_TRUE(tailed.status.ok()) << tailed.status.error_message();
  EXPECT_EQ(tailed.events, (std::vector<std::string>{"1:b", "2:c", "3:d", "4:e", "5:f", "6:g"}));
}

TEST_F(IngestTest, TailsFromTheOldestEventThatIsKept) {
  node_->Serve();
  for (const char* payload : {"a", "b", "c"}) ASSERT_TRUE(Append(Request({payload})).ok());
  node_->backend().TrimTo(kFirst, Offset(2));
  v1::TailRequest request = TailFrom(0);
  EXPECT_EQ(Tail(request).status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  request.set_start(true);
  const Tailed tailed = Tail(request);
  EXPECT_EQ(tailed.events, std::vector<std::string>{"2:c"});
  EXPECT_EQ(tailed.begins, 2u) << "who goes on from there must not be refused";
}

// The floor may rise before the tail has read anything.
TEST_F(IngestTest, TellsWhereATailReallyBegins) {
  node_->Serve();
  for (const char* payload : {"a", "b", "c"}) ASSERT_TRUE(Append(Request({payload})).ok());
  v1::TailRequest request = TailFrom(0);
  request.set_start(true);
  EXPECT_EQ(Tail(request).begins, 0u);
  node_->backend().Forget(kFirst, Offset(0));
  EXPECT_EQ(Tail(request).begins, 1u);
  node_->backend().TrimTo(kFirst, Offset(3));
  EXPECT_EQ(Tail(request).begins, 3u) << "nothing is kept: the next event will be there";
}

// What is committed while a tail reads is not sent, and so not counted: who goes on from its
// next_offset would miss it.
TEST_F(IngestTest, TellsNoNextOffsetBeyondWhatATailHasSent) {
  node_->Serve();
  ASSERT_TRUE(Append(RequestOf("p", 0, {"a", "b", "c"})).ok());
  ASSERT_TRUE(Append(Request({"d"})).ok());
  node_->backend().SayCommitted(kFirst, Offset(2));
  const Tailed tailed = Tail(TailFrom(0));
  EXPECT_TRUE(tailed.status.ok()) << tailed.status.error_message();
  EXPECT_EQ(tailed.events, (std::vector<std::string>{"0:a", "1:b"}));
  EXPECT_EQ(tailed.goes_on, 2u);
}

// G4: a tail is a copy of the partition, or says that it is not.
TEST_F(IngestTest, EndsATailThatMeetsAGapAndNamesBothEnds) {
  node_->Serve();
  for (const char* payload : {"a", "b", "c", "d", "e"}) {
    ASSERT_TRUE(Append(Request({payload})).ok());
  }
  node_->backend().Forget(kFirst, Offset(2));
  node_->backend().Forget(kFirst, Offset(3));
  const Tailed before = Tail(TailFrom(0));
  EXPECT_EQ(before.events, (std::vector<std::string>{"0:a", "1:b"}));
  const Tailed inside = Tail(TailFrom(3));
  EXPECT_TRUE(inside.events.empty());
  for (const auto& [tailed, from] : {std::pair(before, 2), std::pair(inside, 3)}) {
    EXPECT_EQ(tailed.status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
    EXPECT_NE(tailed.status.error_message().find(absl::StrCat("offsets ", from, " to 3 ")),
              std::string::npos)
        << tailed.status.error_message();
    EXPECT_NE(tailed.status.error_message().find("at offset 4"), std::string::npos);
  }
}

TEST_F(IngestTest, FollowsNewEventsFromTheEnd) {
  node_->Serve();
  ASSERT_TRUE(Append(Request({"old"})).ok());
  v1::TailRequest request = TailFrom(0);
  request.set_end(true);
  request.set_follow(true);
  grpc::ClientContext context;
  const auto reader = stub_->Tail(&context, request);
  v1::TailResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.events_size(), 0);
  EXPECT_EQ(response.next_offset(), 1u);
  ASSERT_TRUE(Append(Request({"new"})).ok());
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.events(0).event().payload(), "new");
  // The server's shutdown ends it, and does not wait for it.
  node_->Shutdown();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(IngestTest, TellsTheOwnersAddressToATailThatAsksAnotherNode) {
  node_->Serve();
  node_->backend().SetNodes({{"a", node_->address()}, {"b", "10.0.0.2:7000"}});
  node_->backend().SetOwner(kFirst, "b");
  const Tailed tailed = Tail(TailFrom(0));
  EXPECT_EQ(tailed.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(tailed.status.error_message(),
            "this node does not own web/0: ask its owner 'b' at 10.0.0.2:7000");
  node_->backend().SetOwner(kFirst, "gone");
  EXPECT_EQ(Tail(TailFrom(0)).status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace forebay
