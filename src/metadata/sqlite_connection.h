// One connection to the SQLite file of the metadata, and statements on it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

struct sqlite3;
struct sqlite3_stmt;

namespace forebay {

// Errors are UNAVAILABLE (locked, I/O), RESOURCE_EXHAUSTED (disk full), DATA_LOSS (damaged, or not
// a database), PERMISSION_DENIED, or INTERNAL; they name the file. Used by one thread at a time.
class SqliteConnection {
 public:
  // Waits for locks of other connections for up to `lock_wait`.
  static absl::StatusOr<std::unique_ptr<SqliteConnection>> Open(const std::string& path,
                                                                absl::Duration lock_wait);
  ~SqliteConnection();

  // Runs statements that give no rows, or whose rows do not matter.
  absl::Status Execute(const std::string& sql);
  // The first column of the first row.
  absl::StatusOr<uint64_t> Number(const std::string& sql);
  absl::StatusOr<std::string> Text(const std::string& sql);

  absl::Status Error(int code, const std::string& what) const;
  sqlite3* handle() { return handle_; }
  const std::string& path() const { return path_; }

 private:
  SqliteConnection(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}

  const std::string path_;
  sqlite3* const handle_;
};

// Columns and parameters count from 1 for parameters and 0 for columns, as in SQLite.
class SqliteStatement {
 public:
  // The statement borrows `sql` and what is bound until it is destroyed.
  SqliteStatement(SqliteConnection& connection, const char* sql);
  ~SqliteStatement();
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  SqliteStatement& BindText(int parameter, std::string_view text);
  SqliteStatement& BindBytes(int parameter, std::string_view bytes);
  SqliteStatement& BindNumber(int parameter, uint64_t number);

  // True: there is a row.
  absl::StatusOr<bool> Step();
  bool IsNull(int column) const;
  uint64_t Number(int column) const;
  std::string Bytes(int column) const;

 private:
  SqliteConnection& connection_;
  const char* const sql_;
  sqlite3_stmt* statement_ = nullptr;
  int error_ = 0;  // of preparing and binding; Step reports it
};

}  // namespace forebay
