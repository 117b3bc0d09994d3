// What AppendBlocks takes, asked by a program that knows only the .proto files.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "forebay/v1/ingest.grpc.pb.h"
#include "support/bad_blocks.h"
#include "support/served_node.h"

namespace forebay {
namespace {

class AppendBlocksTest : public testing::Test {
 protected:
  AppendBlocksTest() {
    node_.Serve();
    channel_ = grpc::CreateChannel(node_.address(), grpc::InsecureChannelCredentials());
    stub_ = v1::Ingest::NewStub(channel_);
    stream_ = stub_->AppendBlocks(&context_);
  }
  ~AppendBlocksTest() override {
    stream_->WritesDone();
    v1::AppendBlocksResponse response;
    while (stream_->Read(&response)) {
    }
    EXPECT_TRUE(stream_->Finish().ok());
  }

  v1::BlockResult Append(const std::string& block) {
    v1::AppendBlocksRequest request;
    v1::BlockAppend& append = *request.add_blocks();
    append.set_request(++request_);
    append.set_stream("web");
    append.set_block(block);
    v1::AppendBlocksResponse response;
    if (!stream_->Write(request) || !stream_->Read(&response) || response.results_size() != 1) {
      ADD_FAILURE() << "the stream has ended";
      return {};
    }
    EXPECT_EQ(response.results(0).request(), request_);
    return response.results(0);
  }

  void ExpectRefusals(const std::vector<BadBlock>& blocks) {
    uint64_t good = 0;
    for (const BadBlock& bad : blocks) {
      const v1::BlockResult result = Append(bad.bytes);
      EXPECT_EQ(result.outcome(), v1::APPEND_OUTCOME_NOT_STORED) << bad.name;
      EXPECT_EQ(result.code(), static_cast<uint32_t>(absl::StatusCode::kInvalidArgument))
          << bad.name << ": " << result.message();
      EXPECT_NE(result.message().find("block for web/0: "), std::string::npos) << result.message();
      EXPECT_NE(result.message().find(bad.says), std::string::npos)
          << bad.name << ": " << result.message();
      Event event;
      event.payload = "good";
      const Block block = *EncodeBlock({ProducerId("good"), 0, good}, {&event, 1}, Codec::kNone);
      const v1::BlockResult next = Append(std::string(block.bytes()));
      EXPECT_EQ(next.outcome(), v1::APPEND_OUTCOME_ACKNOWLEDGED) << bad.name;
      EXPECT_EQ(next.offset(), good++) << bad.name << " took an offset";
    }
  }

  ServedNode node_{"a"};
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Ingest::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AppendBlocksRequest, v1::AppendBlocksResponse>>
      stream_;
  uint64_t request_ = 0;
};

// G8, G10: one of these, stored, would stop its partition for every sink and tail.
TEST_F(AppendBlocksTest, RefusesEachBodyThatNobodyCouldDecodeAndTakesTheNextBlock) {
  ExpectRefusals(BadBodies());
}

// The most memory that this process has had, in MiB.
size_t PeakMemory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    size_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib >> 10;
  }
  ADD_FAILURE() << "no VmHWM";
  return 0;
}

// G9: 256 MiB each, of which none comes to be.
TEST_F(AppendBlocksTest, ABombTakesNoMoreMemoryThanABlockMayHave) {
  const std::string bomb = ForgeBlock({.codec = Codec::kZstd, .raw_bytes = 4 << 20}, ZstdBomb());
  const size_t before = PeakMemory();
  for (int i = 0; i < 20; i++) EXPECT_EQ(Append(bomb).outcome(), v1::APPEND_OUTCOME_NOT_STORED);
  EXPECT_LT(PeakMemory(), before + 100);
}

TEST_F(AppendBlocksTest, HoldsTheLimitsOfEventsAsAppendDoes) { ExpectRefusals(EventsOverLimits()); }

}  // namespace
}  // namespace forebay
