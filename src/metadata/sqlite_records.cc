#include "metadata/sqlite_records.h"

#include <sqlite3.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "metadata/key_range.h"

namespace forebay {
namespace {

constexpr uint64_t kApplicationId = 0x46424d44;  // "FBMD", in the file's header
constexpr uint64_t kFormat = 1;                  // user_version

// Versions come from one sequence for all keys, and deleted records leave a tombstone (no value):
// so "what has changed since version N" has an answer, and no key's version is ever given again.
// The trigger keeps that true when somebody deletes records by hand.
constexpr char kTables[] = R"(
CREATE TABLE records (key TEXT PRIMARY KEY NOT NULL, value BLOB, version INTEGER NOT NULL);
CREATE UNIQUE INDEX records_by_version ON records (version);
CREATE TRIGGER records_tombstone AFTER DELETE ON records BEGIN
  INSERT INTO records VALUES (old.key, NULL,
    1 + max(old.version, (SELECT coalesce(max(version), 0) FROM records)));
END;
)";

constexpr int kLockRetryMs = 10;

// Rolls back unless committed.
class Transaction {
 public:
  explicit Transaction(SqliteConnection& connection) : connection_(connection) {}
  ~Transaction() {
    // After some errors SQLite has rolled back by itself, and this one changes nothing.
    if (open_) connection_.Execute("ROLLBACK").IgnoreError();
  }
  // Takes the write lock at once: a lock taken later could fail although we have read already.
  absl::Status Begin() {
    const absl::Status status = connection_.Execute("BEGIN IMMEDIATE");
    open_ = status.ok();
    return status;
  }
  absl::Status Commit() {
    const absl::Status status = connection_.Execute("COMMIT");
    if (status.ok()) open_ = false;
    return status;
  }

 private:
  SqliteConnection& connection_;
  bool open_ = false;
};

std::vector<MetadataRecord>& Append(std::vector<MetadataRecord>& records,
                                    const SqliteStatement& row) {
  if (row.IsNull(1)) {
    records.push_back({row.Bytes(0), "", 0});
  } else {
    records.push_back({row.Bytes(0), row.Bytes(1), row.Number(2)});
  }
  return records;
}

absl::StatusOr<std::vector<MetadataRecord>> All(SqliteStatement& statement) {
  std::vector<MetadataRecord> records;
  while (true) {
    const absl::StatusOr<bool> row = statement.Step();
    if (!row.ok()) return row.status();
    if (!*row) return records;
    Append(records, statement);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteRecords>> SqliteRecords::Open(const std::string& path,
                                                                   absl::Duration lock_wait) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (path.empty()) return absl::InvalidArgumentError("metadata: the path of the file is empty");
  if (!folder.empty() && !std::filesystem::is_directory(folder, error)) {
    return absl::NotFoundError(absl::StrCat("metadata file ", path, ": the folder ",
                                            folder.string(),
                                            " does not exist; create it or correct the path"));
  }
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("metadata file ", path, " is a folder; name a file in it"));
  }
  auto connection = SqliteConnection::Open(path, lock_wait);
  if (!connection.ok()) return connection.status();
  std::unique_ptr<SqliteRecords> records(new SqliteRecords(*std::move(connection)));
  // Several processes may create the file at the same moment. Some of the locks on the way (of the
  // change to WAL mode) fail at once instead of waiting.
  absl::Status status = records->SetUp();
  for (int64_t left = lock_wait / absl::Milliseconds(kLockRetryMs);
       absl::IsUnavailable(status) && left > 0; left--) {
    sqlite3_sleep(kLockRetryMs);
    status = records->SetUp();
  }
  if (!status.ok()) return status;
  return records;
}

absl::Status SqliteRecords::SetUp() {
  const absl::StatusOr<std::string> mode = connection_->Text("PRAGMA journal_mode = WAL");
  if (!mode.ok()) return mode.status();
  if (*mode != "wal") {
    return absl::FailedPreconditionError(absl::StrCat(
        "metadata file ", connection_->path(), ": SQLite cannot use its write-ahead log there (",
        *mode, "); put the file on a local disk"));
  }
  // FULL: a commit is fsynced before it is reported.
  FOREBAY_RETURN_IF_ERROR(connection_->Execute("PRAGMA synchronous = FULL"));
  return CheckOrCreateTables();
}

absl::Status SqliteRecords::CheckOrCreateTables() {
  Transaction transaction(*connection_);
  FOREBAY_RETURN_IF_ERROR(transaction.Begin());
  const absl::StatusOr<uint64_t> application = connection_->Number("PRAGMA application_id");
  if (!application.ok()) return application.status();
  const absl::StatusOr<uint64_t> format = connection_->Number("PRAGMA user_version");
  if (!format.ok()) return format.status();
  const absl::StatusOr<uint64_t> tables = connection_->Number("SELECT count(*) FROM sqlite_schema");
  if (!tables.ok()) return tables.status();
  if (*application == 0 && *tables == 0) {
    FOREBAY_RETURN_IF_ERROR(connection_->Execute(absl::StrCat(
        kTables, "PRAGMA application_id = ", kApplicationId, "; PRAGMA user_version = ", kFormat)));
    return transaction.Commit();
  }
  if (*application != kApplicationId) {
    return absl::FailedPreconditionError(
        absl::StrCat("metadata file ", connection_->path(),
                     " is an SQLite database of something else; name another file"));
  }
  if (*format != kFormat) {
    return absl::FailedPreconditionError(
        absl::StrCat("metadata file ", connection_->path(), " has format ", *format,
                     ", but this version of Forebay knows format ", kFormat,
                     "; it was written by a newer version: upgrade this node"));
  }
  return transaction.Commit();
}

absl::StatusOr<std::optional<MetadataRecord>> SqliteRecords::Read(const std::string& key) {
  SqliteStatement statement(
      *connection_, "SELECT key, value, version FROM records WHERE key = ?1 AND value IS NOT NULL");
  auto records = All(statement.BindText(1, key));
  if (!records.ok()) return records.status();
  if (records->empty()) return std::optional<MetadataRecord>();
  return std::optional<MetadataRecord>(std::move(records->front()));
}

absl::StatusOr<std::vector<MetadataRecord>> SqliteRecords::List(const std::string& prefix) {
  const std::string end = PrefixEnd(prefix);
  SqliteStatement statement(*connection_,
                            "SELECT key, value, version FROM records WHERE key >= ?1 AND "
                            "(?2 = '' OR key < ?2) AND value IS NOT NULL ORDER BY key");
  return All(statement.BindText(1, prefix).BindText(2, end));
}

SwapResult SqliteRecords::CompareAndSwap(const std::string& key, uint64_t version,
                                         const std::string& value) {
  Transaction transaction(*connection_);
  if (const absl::Status begun = transaction.Begin(); !begun.ok()) {
    // Nothing has been written.
    return absl::IsUnavailable(begun) ? absl::CancelledError(begun.message()) : begun;
  }
  const SwapResult swapped = SwapInside(key, version, value);
  if (!swapped.ok()) return swapped;
  FOREBAY_RETURN_IF_ERROR(transaction.Commit());
  return swapped;
}

SwapResult SqliteRecords::SwapInside(const std::string& key, uint64_t version,
                                     const std::string& value) {
  const absl::StatusOr<std::optional<MetadataRecord>> found = Read(key);
  if (!found.ok()) return found.status();
  const uint64_t current = found->has_value() ? (*found)->version : 0;
  if (current != version) {
    return absl::AbortedError(
        absl::StrCat("record ", key, " is at version ", current, ", not ", version));
  }
  SqliteStatement statement(
      *connection_,
      "INSERT INTO records (key, value, version) VALUES (?1, ?2, "
      "1 + (SELECT coalesce(max(version), 0) FROM records)) ON CONFLICT (key) DO UPDATE SET "
      "value = excluded.value, version = excluded.version RETURNING version");
  const absl::StatusOr<bool> row = statement.BindText(1, key).BindBytes(2, value).Step();
  if (!row.ok()) return row.status();
  if (!*row) return absl::InternalError("metadata file: a swap gave no version");
  return statement.Number(0);
}

absl::StatusOr<uint64_t> SqliteRecords::DataVersion() {
  return connection_->Number("PRAGMA data_version");
}

absl::StatusOr<uint64_t> SqliteRecords::LastVersion() {
  return connection_->Number("SELECT coalesce(max(version), 0) FROM records");
}

absl::StatusOr<std::vector<MetadataRecord>> SqliteRecords::ChangedSince(const std::string& prefix,
                                                                        uint64_t seen) {
  const std::string end = PrefixEnd(prefix);
  SqliteStatement statement(*connection_,
                            "SELECT key, value, version FROM records WHERE version > ?3 AND "
                            "key >= ?1 AND (?2 = '' OR key < ?2) ORDER BY version");
  return All(statement.BindText(1, prefix).BindText(2, end).BindNumber(3, seen));
}

absl::Status SqliteRecords::BeginRead() { return connection_->Execute("BEGIN DEFERRED"); }
absl::Status SqliteRecords::EndRead() { return connection_->Execute("COMMIT"); }

}  // namespace forebay
