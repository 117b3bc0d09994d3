// Events and progress in PostgreSQL, changed in one transaction.
#include <libpq-fe.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/printable.h"
#include "base/status.h"
#include "base/utf8.h"
#include "block/event_json.h"
#include "block/json_text.h"
#include "forebay/sink.h"
#include "sinks/lease_pool.h"
#include "sinks/postgres_connection.h"
#include "sinks/row.h"

namespace forebay {
namespace {

// Any number will do, if only Forebay uses it: "forebay" in ASCII.
constexpr char kTableLock[] = "SELECT pg_advisory_xact_lock(28831936653975929)";

constexpr char kProgressTable[] =
    "CREATE TABLE IF NOT EXISTS forebay_progress (sink text NOT NULL, stream text NOT NULL, "
    "partition bigint NOT NULL, epoch bigint NOT NULL, next_offset bigint NOT NULL, "
    "PRIMARY KEY (sink, stream, partition))";
constexpr char kEventColumns[] =
    " (stream text NOT NULL, partition bigint NOT NULL, \"offset\" bigint NOT NULL, "
    "id text NOT NULL, key text NOT NULL, \"time\" timestamptz, type text NOT NULL, "
    "payload text NOT NULL, payload_is_base64 boolean NOT NULL, attributes json NOT NULL, "
    "PRIMARY KEY (stream, partition, \"offset\"))";

// Also for an equal epoch, because the update waits for the row: if an earlier connection of this
// owner still commits, its outcome is seen here.
constexpr char kRaiseEpoch[] =
    "INSERT INTO forebay_progress AS p (sink, stream, partition, epoch, next_offset) "
    "VALUES ($1, $2, $3, $4, 0) ON CONFLICT (sink, stream, partition) "
    "DO UPDATE SET epoch = excluded.epoch WHERE p.epoch <= excluded.epoch RETURNING next_offset";
constexpr char kMoveProgress[] =
    "UPDATE forebay_progress SET next_offset = $1 WHERE sink = $2 AND stream = $3 "
    "AND partition = $4 AND epoch = $5 AND next_offset = $6";
constexpr char kReadProgress[] =
    "SELECT epoch, next_offset FROM forebay_progress WHERE sink = $1 AND stream = $2 "
    "AND partition = $3";

std::string Text(uint64_t number) { return absl::StrCat(number); }

uint64_t Number(const std::string& text) {
  uint64_t number = 0;
  return absl::SimpleAtoi(text, &number) ? number : 0;
}

// What stands for a byte in COPY's text format, after a backslash. 0: the byte itself, alone.
constexpr std::array<char, 256> kEscapes = [] {
  std::array<char, 256> escapes{};
  escapes['\\'] = '\\';
  escapes['\n'] = 'n';
  escapes['\r'] = 'r';
  escapes['\t'] = 't';
  return escapes;
}();

// A column of it.
void AppendColumn(std::string_view text, std::string& out) {
  size_t plain = 0;
  for (size_t at = 0; at < text.size(); at++) {
    const char escape = kEscapes[static_cast<uint8_t>(text[at])];
    if (escape == 0) continue;
    out.append(text, plain, at - plain);
    out += '\\';
    out += escape;
    plain = at + 1;
  }
  out.append(text, plain);
  out += '\t';
}

bool HasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

// Nor can jsonb hold a NUL.
const char* WrongInColumn(std::string_view text) {
  return HasNul(text) ? "holds a NUL, which PostgreSQL's text cannot" : WrongInText(text);
}

// Whether the payload may stand as it is. JSON that jsonb refuses may not: one such row would fail
// every query that casts the column.
bool StandsAsText(std::string_view payload) {
  const absl::StatusOr<JsonTraits> json = CheckJson(payload);
  if (!json.ok()) return IsUtf8(payload) && !HasNul(payload);
  return !json->has_escaped_nul && !json->has_lone_surrogate && json->depth <= kEmbeddedDepthMax &&
         json->digits_max <= kEmbeddedDigitsMax;
}

void AppendRow(const PartitionId& partition, Offset offset, const Event& event, TimeText& time,
               std::string& out) {
  AppendColumn(partition.stream.value(), out);
  absl::StrAppend(&out, partition.index, "\t", offset.value(), "\t");
  AppendColumn(event.id, out);
  AppendColumn(event.key, out);
  if (event.time == absl::InfinitePast()) {
    out += "\\N\t";
  } else {
    AppendColumn(time.Of(event.time), out);
  }
  AppendColumn(event.type, out);
  const bool text = StandsAsText(event.payload);
  AppendColumn(text ? event.payload : absl::Base64Escape(event.payload), out);
  out += text ? "f\t" : "t\t";
  std::string attributes;
  AppendAttributesJson(event, attributes);
  AppendColumn(attributes, out);
  out.back() = '\n';
}

// The rows of a batch, some at a time.
class RowPieces {
 public:
  explicit RowPieces(const SinkBatch& batch) : batch_(batch) {}

  // Good until the next call; empty after the last.
  std::string_view Next() {
    rows_.clear();
    for (; next_ < batch_.events.size() && rows_.size() < kPieceBytes; next_++) {
      AppendRow(batch_.partition, batch_.first + next_, batch_.events[next_], time_, rows_);
    }
    return rows_;
  }

 private:
  static constexpr size_t kPieceBytes = 64 << 10;

  const SinkBatch& batch_;
  TimeText time_{TimeText::Form::kPostgres};
  size_t next_ = 0;
  std::string rows_;
};

class PostgresSink final : public Sink {
 public:
  explicit PostgresSink(PostgresSinkOptions options)
      : options_(std::move(options)), connections_(static_cast<size_t>(options_.connections_max)) {}

  absl::StatusOr<SinkProgress> Open(const PartitionId& partition, Epoch epoch) override {
    SinkProgress progress;
    absl::Status status = WithConnection([&](PostgresConnection& connection) {
      auto rows = connection.Run(kRaiseEpoch, {options_.name.value(), partition.stream.value(),
                                               Text(partition.index), Text(epoch.value())});
      if (!rows.ok()) return WithContext(rows.status(), "raise the epoch");
      if (rows->rows.empty()) {
        return absl::FailedPreconditionError(absl::StrCat("fenced: an epoch above ", epoch.value(),
                                                          " has opened ", partition.ToString()));
      }
      progress.next = Offset(Number(rows->rows[0][0]));
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return progress;
  }

  absl::Status Deliver(const SinkBatch& batch) override { return Take(batch, /*skip=*/false); }
  absl::Status Skip(const SinkBatch& batch) override { return Take(batch, /*skip=*/true); }
  bool HoldsProgress() const override { return true; }

 private:
  absl::Status Take(const SinkBatch& batch, bool skip) {
    FOREBAY_RETURN_IF_ERROR(CheckName(batch, options_.name));
    RowPieces rows(batch);
    for (const Event& event : batch.events) {
      if (!skip) FOREBAY_RETURN_IF_ERROR(CheckTexts(event, WrongInColumn));
    }
    return WithConnection([&](PostgresConnection& connection) {
      FOREBAY_RETURN_IF_ERROR(connection.Run("BEGIN").status());
      FOREBAY_RETURN_IF_ERROR(MoveProgress(connection, batch));
      if (!skip) {
        FOREBAY_RETURN_IF_ERROR(WithContext(
            connection.Copy(absl::StrCat("COPY ", options_.table,
                                         " (stream, partition, \"offset\", id, key, \"time\", "
                                         "type, payload, payload_is_base64, attributes) "
                                         "FROM STDIN"),
                            [&] { return rows.Next(); }),
            "copy"));
      }
      auto committed = connection.Run("COMMIT");
      if (!committed.ok()) return WithContext(Ambiguous(committed.status()), "commit");
      if (committed->command != "COMMIT") {
        return absl::InternalError(
            absl::StrCat("PostgreSQL answered COMMIT with ", committed->command));
      }
      return absl::OkStatus();
    });
  }

  // Deferred constraints fail at commit, and then surely; of any other failure the outcome is
  // unknown.
  static absl::Status Ambiguous(const absl::Status& status) {
    return absl::IsInvalidArgument(status) ? status : absl::UnavailableError(status.message());
  }

  // The compare-and-set on which exactly once rests.
  absl::Status MoveProgress(PostgresConnection& connection, const SinkBatch& batch) {
    const PartitionId& partition = batch.partition;
    auto moved =
        connection.Run(kMoveProgress, {Text(batch.last.value() + 1), batch.sink.value(),
                                       partition.stream.value(), Text(partition.index),
                                       Text(batch.epoch.value()), Text(batch.first.value())});
    if (!moved.ok()) return WithContext(moved.status(), "move the progress");
    if (moved->affected_rows == 1) return absl::OkStatus();
    auto stored = connection.Run(
        kReadProgress, {batch.sink.value(), partition.stream.value(), Text(partition.index)});
    if (!stored.ok()) return WithContext(stored.status(), "read the progress");
    if (stored->rows.empty()) return WhyNoRow(batch, Epoch(), Offset());
    return WhyNoRow(batch, Epoch(Number(stored->rows[0][0])), Offset(Number(stored->rows[0][1])));
  }

  // Tables are made where they are missing, under a lock, because IF NOT EXISTS alone can race.
  absl::Status MakeTables(PostgresConnection& connection) {
    auto found = connection.Run(
        "SELECT to_regclass('forebay_progress') IS NOT NULL AND to_regclass($1) IS NOT NULL",
        {options_.table});
    if (!found.ok()) return found.status();
    if (!found->rows.empty() && found->rows[0][0] == "t") return absl::OkStatus();
    for (const std::string& sql :
         {std::string("BEGIN"), std::string(kTableLock), std::string(kProgressTable),
          absl::StrCat("CREATE TABLE IF NOT EXISTS ", options_.table, kEventColumns),
          std::string("COMMIT")}) {
      FOREBAY_RETURN_IF_ERROR(WithContext(connection.Run(sql).status(), "make the tables"));
    }
    return absl::OkStatus();
  }

  template <typename Work>
  absl::Status WithConnection(Work work) {
    auto lease = connections_.Take();
    if (lease.connection == nullptr) {
      auto made = PostgresConnection::Connect(options_.url, options_.timeout);
      if (!made.ok()) return made.status();
      FOREBAY_RETURN_IF_ERROR(MakeTables(**made));
      lease.connection = *std::move(made);
    }
    absl::Status status = work(*lease.connection);
    // After anything that may be the connection's fault, the next call gets a new one.
    const bool settled = status.ok() || absl::IsInvalidArgument(status) ||
                         absl::IsOutOfRange(status) || absl::IsFailedPrecondition(status);
    if (!settled || !lease.connection->RollBack()) lease.connection.reset();
    return status;
  }

  const PostgresSinkOptions options_;
  LeasePool<PostgresConnection> connections_;
};

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

bool IsTableName(const std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(name, '.');
  for (const std::string& part : parts) {
    if (!IsPlainName(part)) return false;
  }
  return parts.size() <= 2 && parts.back() != "forebay_progress";
}

}  // namespace

absl::StatusOr<std::shared_ptr<Sink>> OpenPostgresSink(PostgresSinkOptions options) {
  // libpq's own message may quote parts of the URL, and so the password.
  const std::unique_ptr<PQconninfoOption, FreeOptions> parsed(
      PQconninfoParse(options.url.c_str(), nullptr));
  if (options.url.empty() || parsed == nullptr) {
    return absl::InvalidArgumentError(
        "PostgreSQL sink: the URL must look like postgres://user@host:5432/database");
  }
  if (!IsTableName(options.table)) {
    return absl::InvalidArgumentError(
        absl::StrCat("PostgreSQL sink: table '", options.table,
                     "' must be table or schema.table, of [A-Za-z_][A-Za-z0-9_]*, and not "
                     "forebay_progress"));
  }
  if (options.connections_max < 1 || options.connections_max > 100) {
    return absl::InvalidArgumentError(absl::StrCat("PostgreSQL sink: connections_max is ",
                                                   options.connections_max, ", must be 1 to 100"));
  }
  if (options.timeout < absl::Seconds(1) || options.timeout > absl::Hours(1)) {
    return absl::InvalidArgumentError("PostgreSQL sink: timeout must be 1 s to 1 h");
  }
  return std::make_shared<PostgresSink>(std::move(options));
}

}  // namespace forebay
