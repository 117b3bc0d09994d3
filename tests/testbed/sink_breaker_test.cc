// Breaking the sink of a drill.
#include "testbed/sink_breaker.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

class SinkBreakerTest : public ::testing::Test {
 protected:
  SinkBreakerTest() {
    EXPECT_EQ(sqlite3_open(path_.c_str(), &database_), SQLITE_OK);
    EXPECT_EQ(Run("CREATE TABLE t (x)"), SQLITE_OK);
  }
  ~SinkBreakerTest() override {
    sqlite3_close(database_);
    std::remove(path_.c_str());
  }
  int Run(const char* sql) { return sqlite3_exec(database_, sql, nullptr, nullptr, nullptr); }
  // Tries until it is so, or for 30 s.
  bool Becomes(const char* sql, int result) {
    for (int tries = 0; tries < 30'000; ++tries) {
      if (Run(sql) == result) return true;
      ::usleep(1000);
    }
    return false;
  }

  const std::string path_ = absl::StrCat(::testing::TempDir(), "/breaker-", ::getpid(), ".db");
  sqlite3* database_ = nullptr;
};

TEST_F(SinkBreakerTest, LocksTheDatabaseForEverybodyElseUntilHealed) {
  const auto breaker = MakeSqliteBreaker(path_);
  ASSERT_TRUE(breaker->Break().ok());
  EXPECT_TRUE(Becomes("INSERT INTO t VALUES (1)", SQLITE_BUSY));
  ASSERT_TRUE(breaker->Heal().ok());
  EXPECT_TRUE(Becomes("INSERT INTO t VALUES (2)", SQLITE_OK));
}

// Whoever breaks the sink is also who thaws the frozen node that holds the lock.
TEST_F(SinkBreakerTest, DoesNotWaitForWhoHoldsTheLock) {
  ASSERT_EQ(Run("BEGIN IMMEDIATE"), SQLITE_OK);
  const auto breaker = MakeSqliteBreaker(path_);
  EXPECT_TRUE(breaker->Break().ok());
  EXPECT_TRUE(breaker->Heal().ok());
  ASSERT_EQ(Run("COMMIT"), SQLITE_OK);
  EXPECT_TRUE(Becomes("INSERT INTO t VALUES (1)", SQLITE_OK));
}

}  // namespace
}  // namespace forebay
