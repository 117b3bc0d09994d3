// What only SQLite can do to a sink: locks, constraints, a moved or damaged file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "runtime/thread_executor.h"
#include "sink_contract.h"

namespace forebay {
namespace {

using testing::HasSubstr;

class SqliteSinkTest : public testing::Test {
 protected:
  uint64_t Next(Sink& sink, uint64_t epoch) {
    auto progress = sink.Open(partition_, Epoch(epoch));
    EXPECT_TRUE(progress.ok()) << progress.status();
    return progress.ok() ? progress->next->value() : UINT64_MAX;
  }

  const PartitionId partition_{StreamId("web"), 7};
  SqliteSinkWorld world_;
  std::shared_ptr<Sink> sink_ = world_.NewSink();
};

TEST_F(SqliteSinkTest, SeveralProcessesShareTheFile) {
  std::vector<std::unique_ptr<ThreadExecutor>> threads;
  for (uint32_t i = 0; i < 4; i++) {
    threads.push_back(std::make_unique<ThreadExecutor>("node"));
    threads.back()->Post([this, i] {
      auto sink = world_.NewSink();
      const PartitionId partition{StreamId("web"), i};
      EXPECT_TRUE(sink->Open(partition, Epoch(1)).ok());
      for (uint64_t first = 0; first < 50; first += 5) {
        absl::Status delivered = sink->Deliver(BatchOf(partition, 1, first, first + 5));
        EXPECT_TRUE(delivered.ok()) << delivered;
      }
    });
  }
  for (auto& thread : threads) thread->Stop();
  for (uint32_t i = 0; i < 4; i++) {
    EXPECT_EQ(world_.Rows({StreamId("web"), i}).size(), 50u);
  }
}

TEST_F(SqliteSinkTest, AWriterThatStaysIsUnavailableNotPoison) {
  SqliteSinkOptions options;
  options.name = kSinkName;
  options.path = world_.path();
  options.busy_timeout = absl::Milliseconds(10);
  auto sink = OpenSqliteSink(options);
  ASSERT_TRUE(sink.ok());
  EXPECT_EQ(Next(**sink, 1), 0u);
  sqlite3* other = nullptr;
  sqlite3_open(world_.path().c_str(), &other);
  sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
  absl::Status busy = (*sink)->Deliver(BatchOf(partition_, 1, 0, 5));
  EXPECT_TRUE(absl::IsUnavailable(busy)) << busy;
  sqlite3_close(other);
  EXPECT_TRUE((*sink)->Deliver(BatchOf(partition_, 1, 0, 5)).ok());
}

// A crash in a transaction: what was written is gone with its progress.
TEST_F(SqliteSinkTest, ATransactionThatDidNotCommitHasNoEffect) {
  EXPECT_EQ(Next(*sink_, 1), 0u);
  sqlite3* dying = nullptr;
  sqlite3_open(world_.path().c_str(), &dying);
  sqlite3_exec(dying,
               "BEGIN IMMEDIATE; UPDATE forebay_progress SET next_offset = 5;"
               "INSERT INTO events VALUES ('web', 7, 0, '0', '', '', '', '', '{}')",
               nullptr, nullptr, nullptr);
  sqlite3_close(dying);
  EXPECT_EQ(Next(*sink_, 2), 0u);
  EXPECT_TRUE(world_.Rows(partition_).empty());
}

TEST_F(SqliteSinkTest, ARowAgainstTheTablesOwnRulesIsPoisonAndNamed) {
  EXPECT_EQ(Next(*sink_, 1), 0u);
  world_.Sql("CREATE UNIQUE INDEX rule ON events (type)");
  absl::Status status = sink_->Deliver(BatchOf(partition_, 1, 0, 5));
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("event '1' at offset 1"));
  EXPECT_TRUE(world_.Rows(partition_).empty());
  EXPECT_EQ(Next(*sink_, 1), 0u);
}

TEST_F(SqliteSinkTest, TextThatIsNotUtf8IsPoisonAndNamed) {
  ExpectTextThatIsNotUtf8IsPoison(*sink_, world_, partition_);
}

TEST_F(SqliteSinkTest, ATakenPrimaryKeyIsNotPoison) {
  EXPECT_EQ(Next(*sink_, 1), 0u);
  ASSERT_TRUE(sink_->Deliver(BatchOf(partition_, 1, 0, 5)).ok());
  world_.Sql("UPDATE forebay_progress SET next_offset = 0");
  absl::Status status = sink_->Deliver(BatchOf(partition_, 1, 0, 5));
  EXPECT_TRUE(absl::IsInternal(status)) << status;
}

TEST_F(SqliteSinkTest, ADeletedFileTakesNothingMore) {
  EXPECT_EQ(Next(*sink_, 1), 0u);
  ASSERT_TRUE(sink_->Deliver(BatchOf(partition_, 1, 0, 5)).ok());
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(world_.path() + suffix);
  EXPECT_TRUE(absl::IsUnavailable(sink_->Deliver(BatchOf(partition_, 1, 5, 9))));
  EXPECT_EQ(Next(*sink_, 1), 0u);  // the truth: this file holds nothing
}

TEST_F(SqliteSinkTest, SaysWhatIsWrongWithItsOptions) {
  SqliteSinkOptions options;
  EXPECT_THAT(OpenSqliteSink(options).status().message(), HasSubstr("path"));
  options.path = "/no/such/folder/file.db";
  EXPECT_THAT(OpenSqliteSink(options).status().message(),
              testing::AllOf(HasSubstr("/no/such/folder/file.db"), HasSubstr("folder must exist")));
  options.path = world_.path();
  options.table = "drop table x";
  EXPECT_THAT(OpenSqliteSink(options).status().message(), HasSubstr("drop table x"));
}

TEST_F(SqliteSinkTest, ABatchOfAnotherBindingIsRefused) {
  EXPECT_EQ(Next(*sink_, 1), 0u);
  OwnedBatch batch = BatchOf(partition_, 1, 0, 5);
  batch.head.sink = SinkId("other");
  absl::Status status = sink_->Deliver(batch);
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("other"));
}

}  // namespace
}  // namespace forebay
