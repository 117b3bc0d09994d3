#include "node/sink_breaker.h"

#include <sqlite3.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

class SqliteBreaker final : public SinkBreaker {
 public:
  explicit SqliteBreaker(std::string path) : path_(std::move(path)) {}
  ~SqliteBreaker() override { sqlite3_close_v2(database_); }

  absl::Status Break() override {
    constexpr int kBusyMs = 10'000;
    if (database_ == nullptr &&
        sqlite3_open_v2(path_.c_str(), &database_, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK) {
      return Error();
    }
    sqlite3_busy_timeout(database_, kBusyMs);
    return Run("BEGIN EXCLUSIVE");
  }
  absl::Status Heal() override { return Run("ROLLBACK"); }

 private:
  absl::Status Run(const char* sql) {
    return sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) == SQLITE_OK ? absl::OkStatus()
                                                                                : Error();
  }
  absl::Status Error() const {
    return absl::UnavailableError(absl::StrCat(path_, ": ", sqlite3_errmsg(database_)));
  }

  const std::string path_;
  sqlite3* database_ = nullptr;
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
