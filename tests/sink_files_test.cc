// What only files can do to a sink: races for a name, crashes between two steps, damage, removal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "sink_contract.h"
#include "sinks/make_sink.h"

namespace forebay {
namespace {

using testing::HasSubstr;

class FilesSinkTest : public testing::Test {
 protected:
  uint64_t Next(Sink& sink, uint64_t epoch) {
    auto progress = sink.Open(partition_, Epoch(epoch));
    EXPECT_TRUE(progress.ok()) << progress.status();
    return progress.ok() ? progress->next->value() : UINT64_MAX;
  }
  std::filesystem::path Folder() const { return world_.PartitionFolder(partition_); }
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(Folder() / name) << content;
  }

  const PartitionId partition_{StreamId("web"), 7};
  FilesSinkWorld world_;
  std::shared_ptr<Sink> sink_ = world_.NewSink();
};

TEST_F(FilesSinkTest, NamesAFileByItsFirstOffsetAndSaysWhereTheNextStarts) {
  Next(*sink_, 3);
  ASSERT_TRUE(sink_->Deliver(BatchOf(partition_, 3, 0, 2)).ok());
  ASSERT_TRUE(sink_->Deliver(BatchOf(partition_, 3, 2, 3)).ok());
  std::ifstream file(Folder() / "00000000000000000000.ndjson");
  std::string head, event;
  std::getline(file, head);
  std::getline(file, event);
  EXPECT_EQ(head,
            R"({"forebay":{"sink":"contract","stream":"web","partition":7,"epoch":3,"first":0,)"
            R"("next":2,"count":2}})");
  EXPECT_EQ(event, R"({"offset":0,"id":"0","time":"2023-11-14T22:13:20+00:00","type":"test",)"
                   R"("payload":{"n":"0"}})");
  EXPECT_TRUE(std::filesystem::exists(Folder() / "00000000000000000002.ndjson"));
}

// G5: both found the chain's end before either created the next name; the fence is not raised yet.
TEST_F(FilesSinkTest, OfTwoOwnersTheFirstToCreateANameWins) {
  auto other = world_.NewSink();
  Next(*sink_, 1);
  Next(*other, 1);
  ASSERT_TRUE(sink_->Deliver(BatchOf(partition_, 1, 0, 3)).ok());
  absl::Status lost = other->Deliver(BatchOf(partition_, 1, 0, 5));
  EXPECT_TRUE(absl::IsOutOfRange(lost)) << lost;
  EXPECT_EQ(Next(*other, 1), 3u);
  EXPECT_EQ(world_.Rows(partition_).size(), 3u);
}

TEST_F(FilesSinkTest, IgnoresAndRemovesWhatACrashLeftHalfWritten) {
  Next(*sink_, 1);
  ASSERT_TRUE(sink_->Deliver(BatchOf(partition_, 1, 0, 3)).ok());
  Write(".tmp-abcdef", R"({"forebay":{"first":3,"ne)");
  EXPECT_EQ(Next(*sink_, 1), 3u);
  EXPECT_FALSE(std::filesystem::exists(Folder() / ".tmp-abcdef"));
  EXPECT_EQ(world_.Rows(partition_).size(), 3u);
}

// A crash after link(2), before the folder was synced and the temporary name removed.
TEST_F(FilesSinkTest, ContinuesAfterAFileWhoseCreatorDiedBeforeItKnew) {
  Next(*sink_, 1);
  ASSERT_TRUE(sink_->Deliver(BatchOf(partition_, 1, 0, 3)).ok());
  std::filesystem::create_hard_link(Folder() / "00000000000000000000.ndjson",
                                    Folder() / ".tmp-123456");
  auto restarted = world_.NewSink();
  EXPECT_EQ(Next(*restarted, 1), 3u);
  EXPECT_FALSE(std::filesystem::exists(Folder() / ".tmp-123456"));
  EXPECT_EQ(world_.Rows(partition_).size(), 3u);
}

TEST_F(FilesSinkTest, RemovedFilesDoNotReopenTheirNames) {
  auto late = world_.NewSink();
  Next(*late, 1);
  Next(*sink_, 1);
  ASSERT_TRUE(sink_->Deliver(BatchOf(partition_, 1, 0, 3)).ok());
  EXPECT_EQ(Next(*sink_, 1), 3u);
  for (const auto& file : world_.Files(partition_)) std::filesystem::remove(file);
  EXPECT_TRUE(absl::IsOutOfRange(late->Deliver(BatchOf(partition_, 1, 0, 3))));
  EXPECT_EQ(Next(*late, 2), 3u);
  EXPECT_TRUE(world_.Rows(partition_).empty());
}

TEST_F(FilesSinkTest, ADamagedLastFileIsSaidAndNotPassedOver) {
  Next(*sink_, 1);
  ASSERT_TRUE(sink_->Deliver(BatchOf(partition_, 1, 0, 3)).ok());
  Write("00000000000000000003.ndjson", "\0\0\0");
  absl::Status damaged = sink_->Open(partition_, Epoch(2)).status();
  EXPECT_TRUE(absl::IsDataLoss(damaged)) << damaged;
  EXPECT_THAT(damaged.message(), HasSubstr("00000000000000000003.ndjson"));
}

TEST_F(FilesSinkTest, TextThatIsNotUtf8IsPoisonAndNamed) {
  ExpectTextThatIsNotUtf8IsPoison(*sink_, world_, partition_);
}

TEST_F(FilesSinkTest, KeepsStreamNamesInsideTheFolder) {
  const PartitionId sly{StreamId("../a/b"), 0};
  ASSERT_TRUE(sink_->Open(sly, Epoch(1)).ok());
  OwnedBatch batch = BatchOf(sly, 1, 0, 1);
  ASSERT_TRUE(sink_->Deliver(batch).ok());
  EXPECT_TRUE(std::filesystem::exists(std::filesystem::path(world_.path()) / "%2E.%2Fa%2Fb" / "0"));
}

TEST(MakeSink, KnowsTheShippedSinksByTheirUrls) {
  TemporaryFolder folder;
  EXPECT_TRUE(MakeSink("sqlite:" + folder.path() + "/a.db", SinkId("a")).ok());
  EXPECT_TRUE(MakeSink("files:" + folder.path() + "/files", SinkId("b")).ok());
  EXPECT_TRUE(MakeSink("postgres://user@127.0.0.1:1/database", SinkId("c")).ok());
  for (const char* wrong :
       {"", "kafka:x", "sqlite:", "files:", "postgres://[", "sqlite:/no/such/x"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(MakeSink(wrong, SinkId("d")).status())) << wrong;
  }
}

}  // namespace
}  // namespace forebay
