// What only PostgreSQL can do to a sink: lost commits, locks, killed backends, silence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/thread_executor.h"
#include "sink_contract.h"
#include "sinks/make_sink.h"
#include "support/drop_proxy.h"

namespace forebay {
namespace {

using testing::HasSubstr;
using testing::Not;

class PostgresSinkTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = PostgresServer::Start(); }
  static void TearDownTestSuite() { server_.reset(); }

  void SetUp() override {
    if (server_ == nullptr) GTEST_SKIP() << "no PostgreSQL server to start; see stderr";
    world_ = std::make_unique<PostgresSinkWorld>(*server_);
    sink_ = world_->NewSink();
  }

  uint64_t Next(Sink& sink, uint64_t epoch) {
    auto progress = sink.Open(partition_, Epoch(epoch));
    EXPECT_TRUE(progress.ok()) << progress.status();
    return progress.ok() ? progress->next->value() : UINT64_MAX;
  }
  std::string Connection(const std::string& column) {
    const auto rows = world_->Sql("SELECT " + column +
                                  " FROM pg_stat_activity WHERE application_name = 'forebay' AND "
                                  "datname = current_database()");
    return rows.size() == 1 ? rows[0][0] : "";
  }

  static std::unique_ptr<PostgresServer> server_;
  const PartitionId partition_{StreamId("web"), 7};
  std::unique_ptr<PostgresSinkWorld> world_;
  std::shared_ptr<Sink> sink_;
};
std::unique_ptr<PostgresServer> PostgresSinkTest::server_;

// G5: the answer to the commit is lost, the effect is there.
TEST_F(PostgresSinkTest, ALostCommitAnswerIsUnavailableAndTheProgressTells) {
  DropProxy proxy(server_->port());
  auto sink = world_->NewSink(PostgresServer::ThroughPort(world_->url(), proxy.port()));
  EXPECT_EQ(Next(*sink, 1), 0u);
  proxy.Set(DropProxy::Mode::kLoseAnswer);
  EXPECT_TRUE(absl::IsUnavailable(sink->Deliver(BatchOf(partition_, 1, 0, 5))));
  EXPECT_EQ(proxy.lost(), 1);
  EXPECT_EQ(Next(*sink, 1), 5u);
  EXPECT_EQ(world_->Rows(partition_).size(), 5u);
}

// G5: the commit itself is lost, nothing is there; the same status, another progress.
TEST_F(PostgresSinkTest, ALostCommitIsUnavailableAndTheProgressTells) {
  DropProxy proxy(server_->port());
  auto sink = world_->NewSink(PostgresServer::ThroughPort(world_->url(), proxy.port()));
  EXPECT_EQ(Next(*sink, 1), 0u);
  proxy.Set(DropProxy::Mode::kLoseCommit);
  EXPECT_TRUE(absl::IsUnavailable(sink->Deliver(BatchOf(partition_, 1, 0, 5))));
  EXPECT_EQ(proxy.lost(), 1);
  EXPECT_EQ(Next(*sink, 1), 0u);
  EXPECT_TRUE(sink->Deliver(BatchOf(partition_, 1, 0, 5)).ok());
  EXPECT_EQ(world_->Rows(partition_).size(), 5u);
}

TEST_F(PostgresSinkTest, DrainsExactlyOnceWhileCommitsAndAnswersAreLost) {
  DropProxy proxy(server_->port());
  Simulation simulation;
  DrainLog log;
  log.Append(300);
  SinkBinding binding;
  binding.name = kSinkName;
  binding.stream = partition_.stream;
  binding.batch_events_max = 10;
  binding.sink = world_->NewSink(PostgresServer::ThroughPort(world_->url(), proxy.port()));
  DrainNode node(simulation, log, {binding});
  for (uint64_t committed = 10; committed <= 300; committed += 10) {
    proxy.Set(committed % 20 == 0 ? DropProxy::Mode::kLoseCommit : DropProxy::Mode::kLoseAnswer);
    node.drain->OnCommitted(partition_, Epoch(1), Offset(committed));
    ASSERT_TRUE(simulation.RunUntilTrue([&] { return node.Status().cursor == Offset(committed); },
                                        absl::Minutes(10)))
        << node.Status().last_error;
  }
  EXPECT_GE(proxy.lost(), 30);
  const auto rows = world_->Rows(partition_);
  ASSERT_EQ(rows.size(), 300u);
  for (uint64_t i = 0; i < 300; i++) EXPECT_EQ(rows[i].id, std::to_string(i));
}

// The classic duplicate, docs/design/sinks.md#common-rules: reading progress while the old owner's
// transaction is under way.
TEST_F(PostgresSinkTest, OpenWaitsForTheOldOwnersTransactionAndSeesItsEffect) {
  EXPECT_EQ(Next(*sink_, 1), 0u);
  PGconn* old_owner = PQconnectdb(world_->url().c_str());
  PQclear(PQexec(old_owner, "BEGIN"));
  PGresult* moved = PQexec(old_owner,
                           "UPDATE forebay_progress SET next_offset = 9 WHERE epoch = 1 AND "
                           "next_offset = 0");
  EXPECT_STREQ(PQcmdTuples(moved), "1");
  PQclear(moved);
  uint64_t next = 0;
  {
    ThreadExecutor new_owner("new-owner");
    new_owner.Post([&] { next = Next(*sink_, 2); });
    while (Connection("wait_event_type") != "Lock") {  // the condition that we wait for
    }
    PQclear(PQexec(old_owner, "COMMIT"));
  }
  PQfinish(old_owner);
  EXPECT_EQ(next, 9u);
}

TEST_F(PostgresSinkTest, AKilledBackendIsUnavailableAndTheNextCallConnectsAnew) {
  EXPECT_EQ(Next(*sink_, 1), 0u);
  const std::string backend = Connection("pid");
  ASSERT_NE(backend, "");
  world_->Sql("SELECT pg_terminate_backend(" + backend + ")");
  while (Connection("pid") == backend) {
  }
  EXPECT_TRUE(absl::IsUnavailable(sink_->Deliver(BatchOf(partition_, 1, 0, 5))));
  EXPECT_EQ(Next(*sink_, 1), 0u);
  EXPECT_TRUE(sink_->Deliver(BatchOf(partition_, 1, 0, 5)).ok());
}

TEST_F(PostgresSinkTest, ASilentServerDoesNotHoldACallForEver) {
  DropProxy proxy(server_->port());
  PostgresSinkOptions options;
  options.name = kSinkName;
  options.url = PostgresServer::ThroughPort(world_->url(), proxy.port());
  options.timeout = absl::Seconds(1);
  auto sink = OpenPostgresSink(options);
  ASSERT_TRUE(sink.ok());
  EXPECT_EQ(Next(**sink, 1), 0u);
  proxy.Set(DropProxy::Mode::kSilent);
  absl::Status delivered = (*sink)->Deliver(BatchOf(partition_, 1, 0, 5));
  EXPECT_TRUE(absl::IsDeadlineExceeded(delivered)) << delivered;
  EXPECT_FALSE((*sink)->Open(partition_, Epoch(1)).ok());  // connecting is bounded as well
  proxy.Set(DropProxy::Mode::kForward);
  EXPECT_EQ(Next(**sink, 1), 0u);
}

TEST_F(PostgresSinkTest, PoisonIsRefusedWholeAndNamed) {
  EXPECT_EQ(Next(*sink_, 1), 0u);
  OwnedBatch batch = BatchOf(partition_, 1, 0, 5);
  batch.events[3].id = std::string("a\0b", 3);
  absl::Status status = sink_->Deliver(batch);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("its id holds"));
  EXPECT_EQ(world_->Rows(partition_).size(), 0u);
  EXPECT_EQ(Next(*sink_, 1), 0u);
}

TEST_F(PostgresSinkTest, TextThatIsNotUtf8IsPoisonAndNamed) {
  ExpectTextThatIsNotUtf8IsPoison(*sink_, *world_, partition_);
}

// One such row would fail every query that casts the column.
TEST_F(PostgresSinkTest, JsonThatJsonbRefusesStandsInBase64) {
  EXPECT_EQ(Next(*sink_, 1), 0u);
  OwnedBatch batch = BatchOf(partition_, 1, 0, 7);
  batch.events[0].payload = R"({"a":"\u0000"})";
  batch.events[1].payload = R"(["\ud800"])";
  batch.events[2].payload = "1e999999";
  batch.events[3].payload = std::string(20'000, '[') + std::string(20'000, ']');
  batch.events[4].payload = std::string(200'000, '7');
  batch.events[5].payload = "{\n \"a\" : 1.5e3 }";
  batch.events[6].payload = R"(["\u0001", "\ud83c\udf0a", "\ufeff"])";
  ASSERT_TRUE(sink_->Deliver(batch).ok());
  EXPECT_EQ(
      world_->Sql("SELECT count(payload::jsonb) FROM events WHERE NOT payload_is_base64")[0][0],
      "2");
  EXPECT_EQ(world_->Sql("SELECT count(*) FROM events WHERE payload_is_base64")[0][0], "5");
  batch = BatchOf(partition_, 1, 7, 8);
  batch.events[0].attributes = {{"x", std::string(1, '\0')}};
  EXPECT_TRUE(absl::IsInvalidArgument(sink_->Deliver(batch)));
}

TEST_F(PostgresSinkTest, ARowAgainstTheTablesOwnRulesIsPoison) {
  EXPECT_EQ(Next(*sink_, 1), 0u);
  for (const char* rule : {"CHECK (id <> '3')", "UNIQUE (type)"}) {
    world_->Sql(std::string("ALTER TABLE events ADD CONSTRAINT rule ") + rule);
    absl::Status status = sink_->Deliver(BatchOf(partition_, 1, 0, 5));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr("rule"));
    world_->Sql("ALTER TABLE events DROP CONSTRAINT rule");
  }
  EXPECT_EQ(world_->Rows(partition_).size(), 0u);
  EXPECT_TRUE(sink_->Deliver(BatchOf(partition_, 1, 0, 5)).ok());
}

// Rows go to the server while later ones are still being made.
TEST_F(PostgresSinkTest, ABatchOfMegabytesIsStoredWholeOrNotAtAll) {
  EXPECT_EQ(Next(*sink_, 1), 0u);
  OwnedBatch batch = BatchOf(partition_, 1, 0, 3000);
  for (Event& event : batch.events) event.payload = std::string(1000, '\\');
  for (const char* id : {"0", "2999"}) {
    world_->Sql(absl::StrCat("ALTER TABLE events ADD CONSTRAINT rule CHECK (id <> '", id, "')"));
    EXPECT_TRUE(absl::IsInvalidArgument(sink_->Deliver(batch)));
    EXPECT_EQ(world_->Rows(partition_).size(), 0u);
    world_->Sql("ALTER TABLE events DROP CONSTRAINT rule");
  }
  ASSERT_TRUE(sink_->Deliver(batch).ok());
  EXPECT_EQ(world_->Sql("SELECT count(*) FROM events WHERE payload = repeat('\\', 1000)")[0][0],
            "3000");
}

// Two sinks that write one table must not put each other's events in the dead-letter stream.
TEST_F(PostgresSinkTest, ATakenPrimaryKeyIsNotPoison) {
  EXPECT_EQ(Next(*sink_, 1), 0u);
  ASSERT_TRUE(sink_->Deliver(BatchOf(partition_, 1, 0, 5)).ok());
  world_->Sql("UPDATE forebay_progress SET next_offset = 0");
  absl::Status status = sink_->Deliver(BatchOf(partition_, 1, 0, 5));
  EXPECT_TRUE(absl::IsInternal(status)) << status;
}

TEST_F(PostgresSinkTest, ManySinksMayMakeTheTablesAtOnce) {
  std::vector<std::unique_ptr<ThreadExecutor>> threads;
  for (uint32_t i = 0; i < 8; i++) {
    threads.push_back(std::make_unique<ThreadExecutor>("maker"));
    threads.back()->Post([this, i] {
      auto progress = world_->NewSink()->Open({StreamId("web"), i}, Epoch(1));
      EXPECT_TRUE(progress.ok()) << progress.status();
    });
  }
  for (auto& thread : threads) thread->Stop();
  EXPECT_EQ(world_->Sql("SELECT 1 FROM forebay_progress").size(), 8u);
}

TEST_F(PostgresSinkTest, NeverShowsThePassword) {
  PostgresSinkOptions options;
  options.url = "postgres://user:s3cret@127.0.0.1:1/database";
  auto sink = OpenPostgresSink(options);
  ASSERT_TRUE(sink.ok());
  absl::Status away = (*sink)->Open(partition_, Epoch(1)).status();
  EXPECT_TRUE(absl::IsUnavailable(away)) << away;
  EXPECT_THAT(away.ToString(), Not(HasSubstr("s3cret")));
  options.url = "postgres://user:s3cret@127.0.0.1:port/%zz";
  absl::Status wrong = OpenPostgresSink(options).status();
  EXPECT_TRUE(absl::IsInvalidArgument(wrong)) << wrong;
  EXPECT_THAT(wrong.ToString(), Not(HasSubstr("s3cret")));
}

TEST_F(PostgresSinkTest, WritesATableInASchemaOfItsOwn) {
  world_->Sql("CREATE SCHEMA ingest");
  PostgresSinkOptions options;
  options.name = kSinkName;
  options.url = world_->url();
  options.table = "ingest.page_views";
  auto sink = OpenPostgresSink(options);
  ASSERT_TRUE(sink.ok());
  EXPECT_EQ(Next(**sink, 1), 0u);
  ASSERT_TRUE((*sink)->Deliver(BatchOf(partition_, 1, 0, 5)).ok());
  EXPECT_EQ(world_->Sql("SELECT id FROM ingest.page_views").size(), 5u);
}

}  // namespace
}  // namespace forebay
