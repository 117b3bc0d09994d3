#include "testbed/sink_breaker.h"

#include <sqlite3.h>

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "runtime/mutex.h"
#include "runtime/thread_executor.h"

namespace forebay {
namespace {

// A frozen node may hold the file's lock, so waiting for it must not keep anyone from thawing that
// node: it is done on a thread.
class SqliteBreaker final : public SinkBreaker {
 public:
  explicit SqliteBreaker(std::string path) : path_(std::move(path)), executor_("sink-breaker") {}
  ~SqliteBreaker() override {
    executor_.Stop();
    sqlite3_close_v2(database_);
  }

  absl::Status Break() override {
    executor_.Post([this] { Lock(); });
    return failure();
  }
  absl::Status Heal() override {
    executor_.Post([this] { Unlock(); });
    return failure();
  }

 private:
  void Lock() {
    constexpr int kBusyMs = 60'000;  // longer than any fault lasts
    if (database_ == nullptr &&
        sqlite3_open_v2(path_.c_str(), &database_, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK) {
      return Fail();
    }
    sqlite3_busy_timeout(database_, kBusyMs);
    Run("BEGIN EXCLUSIVE");
  }
  void Unlock() {
    if (sqlite3_get_autocommit(database_) == 0) Run("ROLLBACK");
  }
  void Run(const char* sql) {
    if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) Fail();
  }
  void Fail() {
    MutexLock lock(mutex_);
    failure_ = absl::UnavailableError(absl::StrCat(path_, ": ", sqlite3_errmsg(database_)));
  }
  absl::Status failure() const {
    MutexLock lock(mutex_);
    return failure_;
  }

  const std::string path_;
  sqlite3* database_ = nullptr;  // of the executor's thread, until it has stopped
  mutable Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  ThreadExecutor executor_;  // last: it stops before what it works on
};

class PostgresBreaker final : public SinkBreaker {
 public:
  explicit PostgresBreaker(LocalPostgres& server) : server_(server) {}
  absl::Status Break() override { return server_.Crash(); }
  absl::Status Heal() override { return server_.Restart(); }

 private:
  LocalPostgres& server_;
};

}  // namespace

std::unique_ptr<SinkBreaker> MakeSqliteBreaker(const std::string& path) {
  return std::make_unique<SqliteBreaker>(path);
}

std::unique_ptr<SinkBreaker> MakePostgresBreaker(LocalPostgres& server) {
  return std::make_unique<PostgresBreaker>(server);
}

}  // namespace forebay
