// A tail at a block that cannot be decoded, and the call that sets it aside.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "forebay/v1/admin.grpc.pb.h"
#include "forebay/v1/ingest.grpc.pb.h"
#include "support/drain_world.h"
#include "support/forge.h"
#include "support/served_node.h"

namespace forebay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const PartitionId kFirst{StreamId("web"), 0};

class RpcSetAsideTest : public testing::Test {
 protected:
  RpcSetAsideTest() : node_("a") {
    channel_ = grpc::CreateChannel(node_.address(), grpc::InsecureChannelCredentials());
    node_.Serve();
  }

  void Store(const std::string& id, bool spoilt) {
    const std::vector<Event> events = {MakeEvent(id), MakeEvent(id + "2")};
    std::string bytes(
        EncodeBlock(BlockStamp{ProducerId("p"), 0, sequence_++}, events, Codec::kNone)->bytes());
    const char codec = static_cast<char>(Codec::kZstd);
    if (spoilt) bytes = Forge(bytes, 5, std::string_view(&codec, 1));
    node_.backend().Store(kFirst, *Block::Parse(bytes));
  }
  // Offsets of events, "gap 2-4" for what is passed over; then how it ended.
  std::vector<std::string> Tail(grpc::Status& ended) {
    v1::TailRequest request;
    request.set_stream("web");
    request.set_offset(0);
    grpc::ClientContext context;
    const auto reader = v1::Ingest::NewStub(channel_)->Tail(&context, request);
    v1::TailResponse response;
    std::vector<std::string> seen;
    while (reader->Read(&response)) {
      for (const auto& event : response.events()) seen.push_back(std::to_string(event.offset()));
      for (const auto& gap : response.set_aside()) {
        seen.push_back("gap " + std::to_string(gap.first()) + "-" + std::to_string(gap.end()));
      }
    }
    ended = reader->Finish();
    return seen;
  }

  ServedNode node_;
  std::shared_ptr<grpc::Channel> channel_;
  uint64_t sequence_ = 0;
};

TEST_F(RpcSetAsideTest, ATailEndsAtTheBlockAndSaysWhatToDo) {
  Store("a", false);
  Store("b", true);
  Store("c", false);
  grpc::Status ended;
  EXPECT_THAT(Tail(ended), ElementsAre("0", "1"));
  EXPECT_EQ(ended.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_THAT(ended.error_message(), HasSubstr("offsets 2 to 3 of web/0 cannot be decoded"));
  EXPECT_THAT(ended.error_message(), HasSubstr("forebay admin set-aside web 0 2"));
}

TEST_F(RpcSetAsideTest, ATailGoesOnAfterABlockThatWasSetAsideAndSaysSo) {
  Store("a", false);
  Store("b", true);
  Store("c", false);
  v1::SetAsideRequest request;
  request.set_stream("web");
  request.set_offset(2);
  v1::SetAsideResponse response;
  grpc::ClientContext context;
  const grpc::Status done = v1::Admin::NewStub(channel_)->SetAside(&context, request, &response);
  ASSERT_TRUE(done.ok()) << done.error_message();
  EXPECT_EQ(response.first(), 2u);
  EXPECT_EQ(response.end(), 4u);
  grpc::Status ended;
  EXPECT_THAT(Tail(ended), ElementsAre("0", "1", "gap 2-4", "4", "5"));
  EXPECT_TRUE(ended.ok()) << ended.error_message();
}

TEST_F(RpcSetAsideTest, OnlyTheOwnerSetsABlockAside) {
  node_.backend().SetOwner(kFirst, "b");
  node_.backend().SetNodes({{"a", node_.address()}, {"b", "10.0.0.2:7400"}});
  v1::SetAsideRequest request;
  request.set_stream("web");
  v1::SetAsideResponse response;
  grpc::ClientContext context;
  const grpc::Status done = v1::Admin::NewStub(channel_)->SetAside(&context, request, &response);
  EXPECT_EQ(done.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(done.error_message(), HasSubstr("10.0.0.2:7400"));
  EXPECT_TRUE(node_.backend().asked().empty());
}

}  // namespace
}  // namespace forebay
