#include "drill/sink_reader.h"

#include <libpq-fe.h>
#include <sqlite3.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace forebay {
namespace {

using Rows = std::vector<SinkRow>;

struct CloseSqlite {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
struct FinishStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

absl::StatusOr<Rows> ReadSqlite(const std::string& path, const std::string& stream) {
  sqlite3* opened = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE, nullptr);
  const std::unique_ptr<sqlite3, CloseSqlite> database(opened);
  const auto error = [&] {
    return absl::UnavailableError(absl::StrCat(path, ": ", sqlite3_errmsg(opened)));
  };
  if (code != SQLITE_OK) return error();
  sqlite3_busy_timeout(opened, 10'000);
  sqlite3_stmt* prepared = nullptr;
  if (sqlite3_prepare_v2(opened,
                         "SELECT partition, \"offset\", id FROM events WHERE stream = ? "
                         "ORDER BY rowid",
                         -1, &prepared, nullptr) != SQLITE_OK) {
    return error();
  }
  const std::unique_ptr<sqlite3_stmt, FinishStatement> statement(prepared);
  sqlite3_bind_text64(prepared, 1, stream.data(), stream.size(), SQLITE_STATIC, SQLITE_UTF8);
  Rows rows;
  int step = SQLITE_DONE;
  while ((step = sqlite3_step(prepared)) == SQLITE_ROW) {
    rows.push_back({static_cast<uint32_t>(sqlite3_column_int64(prepared, 0)),
                    static_cast<uint64_t>(sqlite3_column_int64(prepared, 1)),
                    reinterpret_cast<const char*>(sqlite3_column_text(prepared, 2))});
  }
  if (step != SQLITE_DONE) return error();
  return rows;
}

struct ClosePostgres {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;

class Postgres {
 public:
  explicit Postgres(const std::string& url) : connection_(PQconnectdb(url.c_str())) {}

  absl::StatusOr<Result> Ask(const char* sql, const std::string& stream) {
    if (PQstatus(connection_.get()) != CONNECTION_OK) return Error();
    const char* const values[] = {stream.c_str()};
    Result result(PQexecParams(connection_.get(), sql, 1, nullptr, values, nullptr, nullptr, 0));
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) return Error();
    return result;
  }

 private:
  absl::Status Error() const {
    return absl::UnavailableError(absl::StrCat("PostgreSQL: ", PQerrorMessage(connection_.get())));
  }

  const std::unique_ptr<PGconn, ClosePostgres> connection_;
};

absl::StatusOr<Rows> ReadPostgres(const std::string& url, const std::string& stream) {
  const auto result = Postgres(url).Ask(
      "SELECT partition, \"offset\", id FROM events WHERE stream = $1 "
      "ORDER BY partition, \"offset\"",
      stream);
  if (!result.ok()) return result.status();
  const auto number = [&](int row, int column) {
    uint64_t value = 0;
    const char* const text = PQgetvalue(result->get(), row, column);
    std::from_chars(text, text + PQgetlength(result->get(), row, column), value);
    return value;
  };
  Rows rows;
  for (int i = 0; i < PQntuples(result->get()); ++i) {
    rows.push_back(
        {static_cast<uint32_t>(number(i, 0)), number(i, 1), PQgetvalue(result->get(), i, 2)});
  }
  return rows;
}

// One file: a head line, then an event with its offset a line.
absl::Status ReadFile(const std::filesystem::path& path, uint32_t partition, Rows& rows) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return absl::DataLossError(absl::StrCat(path.string(), ": not JSON"));
    if (json.contains("forebay")) continue;
    rows.push_back({partition, json.value("offset", uint64_t{0}), json.value("id", "")});
  }
  return absl::OkStatus();
}

absl::StatusOr<Rows> ReadFiles(const std::filesystem::path& folder) {
  Rows rows;
  std::error_code error;
  for (const auto& partition : std::filesystem::directory_iterator(folder, error)) {
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::directory_iterator(partition.path(), error)) {
      if (file.path().extension() == ".ndjson") files.push_back(file.path());
    }
    std::sort(files.begin(), files.end());  // names are first offsets of one width
    const auto index =
        static_cast<uint32_t>(std::atoi(partition.path().filename().string().c_str()));
    for (const auto& file : files) {
      absl::Status status = ReadFile(file, index, rows);
      if (!status.ok()) return status;
    }
  }
  if (error) return absl::UnavailableError(absl::StrCat(folder.string(), ": ", error.message()));
  return rows;
}

}  // namespace

absl::StatusOr<Rows> ReadSink(const std::string& url, const std::string& stream) {
  if (url.rfind("sqlite:", 0) == 0) return ReadSqlite(url.substr(7), stream);
  if (url.rfind("files:", 0) == 0) {
    return ReadFiles(std::filesystem::path(url.substr(6)) / stream);
  }
  return ReadPostgres(url, stream);
}

absl::Status ClearPostgres(const std::string& url, const std::string& stream) {
  Postgres postgres(url);
  for (const char* sql :
       {"DELETE FROM events WHERE stream = $1", "DELETE FROM forebay_progress WHERE stream = $1"}) {
    const auto result = postgres.Ask(sql, stream);
    if (!result.ok()) return result.status();
  }
  return absl::OkStatus();
}

}  // namespace forebay
