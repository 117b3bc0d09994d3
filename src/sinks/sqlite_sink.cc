// Events and progress in one SQLite file, changed in one transaction.
#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/utf8.h"
#include "block/event_json.h"
#include "forebay/sink.h"
#include "sinks/lease_pool.h"
#include "sinks/row.h"

namespace forebay {
namespace {

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

// Poison is what the file can never hold: too large, or against a constraint that its owner added.
// The primary key is ours: hitting it means that somebody else writes these rows.
absl::StatusCode CodeOf(sqlite3* database) {
  switch (sqlite3_errcode(database) & 0xFF) {
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
      return absl::StatusCode::kInvalidArgument;
    case SQLITE_CONSTRAINT:
      return sqlite3_extended_errcode(database) == SQLITE_CONSTRAINT_PRIMARYKEY
                 ? absl::StatusCode::kInternal
                 : absl::StatusCode::kInvalidArgument;
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

// One use of a prepared statement: binds in order, and resets at the end.
class Use {
 public:
  explicit Use(const Statement& statement) : statement_(statement.get()) {}
  ~Use() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  // Text must live until the end of the use.
  Use& Text(std::string_view text) {
    sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
    return *this;
  }
  Use& Blob(std::string_view bytes) {
    sqlite3_bind_blob64(statement_, ++bound_, bytes.data(), bytes.size(), SQLITE_STATIC);
    return *this;
  }
  Use& Number(uint64_t number) {
    sqlite3_bind_int64(statement_, ++bound_, static_cast<sqlite3_int64>(number));
    return *this;
  }
  Use& Null() {
    sqlite3_bind_null(statement_, ++bound_);
    return *this;
  }
  // SQLITE_ROW, SQLITE_DONE or an error.
  int Step() { return sqlite3_step(statement_); }
  uint64_t Column(int index) const {
    return static_cast<uint64_t>(sqlite3_column_int64(statement_, index));
  }

 private:
  sqlite3_stmt* statement_;
  int bound_ = 0;
};

class Connection {
 public:
  static absl::StatusOr<std::unique_ptr<Connection>> Make(const SqliteSinkOptions& options) {
    auto connection = std::unique_ptr<Connection>(new Connection());
    FOREBAY_RETURN_IF_ERROR(connection->SetUp(options));
    return connection;
  }

  absl::StatusOr<SinkProgress> Open(const SinkId& sink, const PartitionId& partition, Epoch epoch) {
    FOREBAY_RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
    auto progress = RaiseEpoch(sink, partition, epoch);
    if (progress.ok()) {
      FOREBAY_RETURN_IF_ERROR(Execute("COMMIT"));
    }
    return progress;
  }

  absl::Status Take(const SinkBatch& batch, bool skip) {
    FOREBAY_RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
    FOREBAY_RETURN_IF_ERROR(MoveProgress(batch));
    for (size_t i = 0; i < batch.events.size() && !skip; i++) {
      absl::Status inserted = Insert(batch.partition, batch.first + i, batch.events[i]);
      if (!inserted.ok()) {
        return WithContext(inserted, "event '", batch.events[i].id, "' at offset ",
                           batch.first.value() + i);
      }
    }
    return Execute("COMMIT");
  }

  // Whether the file is still where it was: a deleted one would take everything and keep nothing.
  absl::Status CheckFile() {
    int moved = 0;
    sqlite3_file_control(database_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (moved == 0) return absl::OkStatus();
    return absl::UnavailableError("SQLite: the file was moved or deleted; opening it again");
  }

  // Of whatever a failed call left open.
  bool RollBack() {
    return sqlite3_get_autocommit(database_.get()) != 0 || Execute("ROLLBACK").ok();
  }

 private:
  Connection() = default;

  // Another process writes. SQLite's own handler sleeps up to 100 ms, during which the file is free
  // most of the time.
  static int LookAgain(void* connection, int looks) {
    if (looks >= static_cast<Connection*>(connection)->looks_max_) return 0;
    sqlite3_sleep(kLookEveryMs);
    return 1;
  }

  absl::Status Error(std::string_view what) const {
    return absl::Status(CodeOf(database_.get()), absl::StrCat("SQLite: ", View(what), ": ",
                                                              sqlite3_errmsg(database_.get())));
  }

  absl::Status Execute(const std::string& sql) {
    if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
      return Error(sql.substr(0, 40));
    }
    return absl::OkStatus();
  }

  absl::Status Prepare(const std::string& sql, Statement& statement) {
    sqlite3_stmt* prepared = nullptr;
    if (sqlite3_prepare_v2(database_.get(), sql.c_str(), -1, &prepared, nullptr) != SQLITE_OK) {
      return Error(sql.substr(0, 40));
    }
    statement.reset(prepared);
    return absl::OkStatus();
  }

  absl::Status SetUp(const SqliteSinkOptions& options) {
    sqlite3* database = nullptr;
    const int opened =
        sqlite3_open_v2(options.path.c_str(), &database,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    database_.reset(database);
    if (opened != SQLITE_OK) {
      return absl::UnavailableError(
          absl::StrCat("SQLite: open ", options.path, ": ", sqlite3_errstr(opened)));
    }
    looks_max_ = static_cast<int>(absl::ToInt64Milliseconds(options.busy_timeout) / kLookEveryMs);
    sqlite3_busy_handler(database, LookAgain, this);
    // FULL: a commit is on disk when it returns, also in WAL mode.
    // Of a file that is made now: four times the default takes 40 % less time for events of 1 KiB.
    FOREBAY_RETURN_IF_ERROR(Execute("PRAGMA page_size=16384"));
    FOREBAY_RETURN_IF_ERROR(Execute("PRAGMA journal_mode=WAL"));
    FOREBAY_RETURN_IF_ERROR(Execute("PRAGMA synchronous=FULL"));
    FOREBAY_RETURN_IF_ERROR(Execute(
        "CREATE TABLE IF NOT EXISTS forebay_progress (sink TEXT NOT NULL, stream TEXT NOT NULL, "
        "partition INTEGER NOT NULL, epoch INTEGER NOT NULL, next_offset INTEGER NOT NULL, "
        "PRIMARY KEY (sink, stream, partition))"));
    FOREBAY_RETURN_IF_ERROR(Execute(absl::StrCat(
        "CREATE TABLE IF NOT EXISTS ", options.table,
        " (stream TEXT NOT NULL, partition INTEGER NOT NULL, \"offset\" INTEGER NOT NULL, "
        "id TEXT NOT NULL, key TEXT NOT NULL, time TEXT, type TEXT NOT NULL, payload, "
        "attributes TEXT NOT NULL, PRIMARY KEY (stream, partition, \"offset\"))")));
    FOREBAY_RETURN_IF_ERROR(Prepare(
        "INSERT INTO forebay_progress (sink, stream, partition, epoch, next_offset) "
        "VALUES (?, ?, ?, ?, 0) ON CONFLICT (sink, stream, partition) "
        "DO UPDATE SET epoch = excluded.epoch WHERE epoch <= excluded.epoch RETURNING next_offset",
        raise_));
    FOREBAY_RETURN_IF_ERROR(
        Prepare("UPDATE forebay_progress SET next_offset = ? WHERE sink = ? AND stream = ? "
                "AND partition = ? AND epoch = ? AND next_offset = ?",
                move_));
    FOREBAY_RETURN_IF_ERROR(
        Prepare("SELECT epoch, next_offset FROM forebay_progress "
                "WHERE sink = ? AND stream = ? AND partition = ?",
                read_));
    return Prepare(absl::StrCat("INSERT INTO ", options.table,
                                " (stream, partition, \"offset\", id, key, time, type, payload, "
                                "attributes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"),
                   insert_);
  }

  absl::StatusOr<SinkProgress> RaiseEpoch(const SinkId& sink, const PartitionId& partition,
                                          Epoch epoch) {
    Use raise(raise_);
    raise.Text(sink.value()).Text(partition.stream.value());
    raise.Number(partition.index).Number(epoch.value());
    switch (raise.Step()) {
      case SQLITE_ROW: {
        const SinkProgress progress{Offset(raise.Column(0))};
        // The change is only complete when the statement has run to its end.
        if (raise.Step() != SQLITE_DONE) return Error("raise the epoch");
        return progress;
      }
      case SQLITE_DONE:
        return absl::FailedPreconditionError(absl::StrCat("fenced: an epoch above ", epoch.value(),
                                                          " has opened ", partition.ToString()));
      default:
        return Error("raise the epoch");
    }
  }

  // The compare-and-set on which exactly once rests.
  absl::Status MoveProgress(const SinkBatch& batch) {
    const PartitionId& partition = batch.partition;
    Use move(move_);
    move.Number(batch.last.value() + 1).Text(batch.sink.value()).Text(partition.stream.value());
    move.Number(partition.index).Number(batch.epoch.value()).Number(batch.first.value());
    if (move.Step() != SQLITE_DONE) return Error("move the progress");
    if (sqlite3_changes(database_.get()) == 1) return absl::OkStatus();
    Use read(read_);
    read.Text(batch.sink.value()).Text(partition.stream.value()).Number(partition.index);
    switch (read.Step()) {
      case SQLITE_ROW:
        return WhyNoRow(batch, Epoch(read.Column(0)), Offset(read.Column(1)));
      case SQLITE_DONE:
        return WhyNoRow(batch, Epoch(), Offset());
      default:
        return Error("read the progress");
    }
  }

  absl::Status Insert(const PartitionId& partition, Offset offset, const Event& event) {
    FOREBAY_RETURN_IF_ERROR(CheckTexts(event));
    std::string attributes;
    AppendAttributesJson(event, attributes);
    Use insert(insert_);
    insert.Text(partition.stream.value()).Number(partition.index).Number(offset.value());
    insert.Text(event.id).Text(event.key);
    event.time == absl::InfinitePast() ? insert.Null() : insert.Text(time_text_.Of(event.time));
    insert.Text(event.type);
    const bool text = IsUtf8(event.payload) && event.payload.find('\0') == std::string::npos;
    text ? insert.Text(event.payload) : insert.Blob(event.payload);
    insert.Text(attributes);
    if (insert.Step() != SQLITE_DONE) return Error("insert");
    return absl::OkStatus();
  }

  static constexpr int kLookEveryMs = 1;

  int looks_max_ = 0;
  std::unique_ptr<sqlite3, CloseDatabase> database_;
  Statement raise_, move_, read_, insert_;
  TimeText time_text_{TimeText::Form::kNanoseconds};
};

class SqliteSink final : public Sink {
 public:
  explicit SqliteSink(SqliteSinkOptions options) : options_(std::move(options)) {}

  absl::StatusOr<SinkProgress> Open(const PartitionId& partition, Epoch epoch) override {
    absl::StatusOr<SinkProgress> progress;
    absl::Status status = WithConnection([&](Connection& connection) {
      progress = connection.Open(options_.name, partition, epoch);
      return progress.status();
    });
    if (!status.ok()) return status;
    return progress;
  }

  absl::Status Deliver(const SinkBatch& batch) override { return Take(batch, /*skip=*/false); }
  absl::Status Skip(const SinkBatch& batch) override { return Take(batch, /*skip=*/true); }
  bool HoldsProgress() const override { return true; }

  absl::Status Connect() {
    return WithConnection([](Connection&) { return absl::OkStatus(); });
  }

 private:
  absl::Status Take(const SinkBatch& batch, bool skip) {
    FOREBAY_RETURN_IF_ERROR(CheckName(batch, options_.name));
    return WithConnection([&](Connection& connection) { return connection.Take(batch, skip); });
  }

  template <typename Work>
  absl::Status WithConnection(Work work) {
    auto lease = connections_.Take();
    if (lease.connection == nullptr) {
      auto made = Connection::Make(options_);
      if (!made.ok()) return made.status();
      lease.connection = *std::move(made);
    }
    absl::Status status = lease.connection->CheckFile();
    if (status.ok()) status = work(*lease.connection);
    const bool usable = lease.connection->RollBack() &&
                        (status.ok() || absl::IsInvalidArgument(status) ||
                         absl::IsOutOfRange(status) || absl::IsFailedPrecondition(status));
    if (!usable) lease.connection.reset();
    return status;
  }

  const SqliteSinkOptions options_;
  // One: SQLite lets one transaction write at a time, and waiting here is cheaper than there.
  LeasePool<Connection> connections_{1};
};

}  // namespace

absl::StatusOr<std::shared_ptr<Sink>> OpenSqliteSink(SqliteSinkOptions options) {
  if (options.path.empty()) return absl::InvalidArgumentError("SQLite sink: path is empty");
  if (!IsPlainName(options.table) || options.table == "forebay_progress") {
    return absl::InvalidArgumentError(absl::StrCat(
        "SQLite sink: table '", options.table,
        "' must be a plain name ([A-Za-z_][A-Za-z0-9_]*) other than forebay_progress"));
  }
  auto sink = std::make_shared<SqliteSink>(std::move(options));
  // A wrong path is better told now than by a drain that retries for ever.
  absl::Status connected = sink->Connect();
  if (!connected.ok() && absl::StrContains(connected.message(), "unable to open")) {
    return absl::InvalidArgumentError(
        absl::StrCat(connected.message(),
                     ": its folder must exist, and this process must be able to write there"));
  }
  return sink;
}

}  // namespace forebay
