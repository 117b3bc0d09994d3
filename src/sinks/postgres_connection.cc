#include "sinks/postgres_connection.h"

#include <poll.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace forebay {
namespace {

std::string OneLine(const char* message) {
  std::string out(absl::StripAsciiWhitespace(message == nullptr ? "" : message));
  for (char& c : out) {
    if (c == '\n') c = ' ';
  }
  return out;
}

// SQLSTATE, appendix A of PostgreSQL's manual.
absl::StatusCode CodeOf(std::string_view state, std::string_view constraint) {
  const std::string_view group = state.substr(0, 2);
  if (state == "23505" && constraint.ends_with("_pkey")) {
    return absl::StatusCode::kInternal;  // somebody else writes these rows; no event is at fault
  }
  if (group == "22" || group == "23" || group == "54" || state == "P0001") {
    return absl::StatusCode::kInvalidArgument;
  }
  if (group == "53") return absl::StatusCode::kResourceExhausted;
  if (state == "57014") return absl::StatusCode::kDeadlineExceeded;
  return absl::StatusCode::kUnavailable;
}

std::string_view Field(const PGresult* result, int field) {
  const char* text = PQresultErrorField(result, field);
  return text == nullptr ? std::string_view() : text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PostgresConnection>> PostgresConnection::Connect(
    const std::string& url, absl::Duration timeout) {
  const std::string milliseconds = absl::StrCat(absl::ToInt64Milliseconds(timeout));
  const std::string seconds = absl::StrCat(absl::ToInt64Seconds(timeout));
  // What stands before dbname can be overridden in the URL.
  const char* keywords[] = {"connect_timeout", "tcp_user_timeout", "application_name",
                            "dbname",          "client_encoding",  nullptr};
  const char* values[] = {seconds.c_str(), milliseconds.c_str(), "forebay", url.c_str(), "UTF8",
                          nullptr};
  auto connection = std::unique_ptr<PostgresConnection>(
      new PostgresConnection(PQconnectdbParams(keywords, values, /*expand_dbname=*/1), timeout));
  PGconn* raw = connection->connection_.get();
  if (raw == nullptr) return absl::ResourceExhaustedError("PostgreSQL: no memory");
  if (PQstatus(raw) != CONNECTION_OK) return connection->Lost("connect");
  PQsetNoticeProcessor(
      raw, [](void*, const char*) {}, nullptr);
  if (PQsetnonblocking(raw, 1) != 0) return connection->Lost("connect");
  // The server must not hold a row for a client that is frozen or cut off: the next owner waits for
  // that row. The last three do nothing on a Unix socket.
  for (const std::string& setting :
       {absl::StrCat("SET statement_timeout = ", milliseconds),
        absl::StrCat("SET idle_in_transaction_session_timeout = ",
                     absl::ToInt64Milliseconds(timeout / 2)),
        std::string("SET tcp_keepalives_idle = 2"), std::string("SET tcp_keepalives_interval = 1"),
        std::string("SET tcp_keepalives_count = 3")}) {
    auto set = connection->Run(setting);
    if (!set.ok()) return set.status();
  }
  return connection;
}

absl::StatusOr<PostgresRows> PostgresConnection::Run(const std::string& sql,
                                                     const std::vector<std::string>& parameters) {
  std::vector<const char*> values;
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  if (PQsendQueryParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                        values.data(), nullptr, nullptr, 0) != 1) {
    return Lost("send");
  }
  auto result = Finished();
  if (!result.ok()) return result.status();
  PostgresRows out;
  out.command = PQcmdStatus(result->get());
  if (!absl::SimpleAtoi(PQcmdTuples(result->get()), &out.affected_rows)) out.affected_rows = 0;
  for (int row = 0; row < PQntuples(result->get()); row++) {
    std::vector<std::string> columns;
    for (int column = 0; column < PQnfields(result->get()); column++) {
      columns.emplace_back(PQgetvalue(result->get(), row, column));
    }
    out.rows.push_back(std::move(columns));
  }
  return out;
}

absl::Status PostgresConnection::Copy(const std::string& sql,
                                      absl::FunctionRef<std::string_view()> next_piece) {
  if (PQsendQuery(connection_.get(), sql.c_str()) != 1) return Lost("send");
  auto started = Next();
  if (!started.ok()) return started.status();
  if (PQresultStatus(started->get()) != PGRES_COPY_IN) {
    auto finished = Finished();
    if (!finished.ok()) return finished.status();
    absl::Status error = ErrorOf(started->get());
    return error.ok() ? absl::InternalError("PostgreSQL: COPY did not start") : error;
  }
  for (std::string_view piece = next_piece(); !piece.empty(); piece = next_piece()) {
    int put = 0;
    while ((put = PQputCopyData(connection_.get(), piece.data(), static_cast<int>(piece.size()))) ==
           0) {
      FOREBAY_RETURN_IF_ERROR(Flush());
    }
    if (put < 0) return Lost("copy");
    FOREBAY_RETURN_IF_ERROR(Flush());
  }
  int ended = 0;
  while ((ended = PQputCopyEnd(connection_.get(), nullptr)) == 0) FOREBAY_RETURN_IF_ERROR(Flush());
  if (ended < 0) return Lost("copy");
  return Finished().status();
}

bool PostgresConnection::RollBack() {
  switch (PQtransactionStatus(connection_.get())) {
    case PQTRANS_IDLE:
      return true;
    case PQTRANS_INTRANS:
    case PQTRANS_INERROR:
      return Run("ROLLBACK").ok();
    default:
      return false;
  }
}

absl::Status PostgresConnection::Lost(std::string_view what) const {
  return absl::UnavailableError(
      absl::StrCat("PostgreSQL: ", View(what), ": ", OneLine(PQerrorMessage(connection_.get()))));
}

absl::Status PostgresConnection::ErrorOf(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN) {
    return absl::OkStatus();
  }
  const std::string_view state = Field(result, PG_DIAG_SQLSTATE);
  std::string message = absl::StrCat("PostgreSQL: ", OneLine(PQresultErrorMessage(result)));
  if (!state.empty()) absl::StrAppend(&message, " (SQLSTATE ", View(state), ")");
  return absl::Status(CodeOf(state, Field(result, PG_DIAG_CONSTRAINT_NAME)), message);
}

absl::Status PostgresConnection::WaitForServer(bool to_write) {
  pollfd socket{PQsocket(connection_.get()),
                static_cast<short>(to_write ? POLLIN | POLLOUT : POLLIN), 0};
  // Twice the server's own limit: its error, if it comes, is the better one.
  const int milliseconds = static_cast<int>(absl::ToInt64Milliseconds(timeout_ * 2));
  int ready = 0;
  do {
    ready = poll(&socket, 1, milliseconds);
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) {
    return absl::UnavailableError(absl::StrCat("PostgreSQL: poll: ", std::strerror(errno)));
  }
  if (ready == 0) {
    return absl::DeadlineExceededError(absl::StrCat("PostgreSQL: the server has been silent for ",
                                                    absl::FormatDuration(timeout_ * 2)));
  }
  if ((socket.revents & ~POLLOUT) != 0 && PQconsumeInput(connection_.get()) != 1) {
    return Lost("receive");
  }
  return absl::OkStatus();
}

absl::Status PostgresConnection::Flush() {
  int left = 0;
  while ((left = PQflush(connection_.get())) == 1) FOREBAY_RETURN_IF_ERROR(WaitForServer(true));
  return left == 0 ? absl::OkStatus() : Lost("send");
}

absl::StatusOr<PostgresConnection::Result> PostgresConnection::Next() {
  FOREBAY_RETURN_IF_ERROR(Flush());
  while (PQisBusy(connection_.get()) == 1) FOREBAY_RETURN_IF_ERROR(WaitForServer(false));
  return Result(PQgetResult(connection_.get()));
}

absl::StatusOr<PostgresConnection::Result> PostgresConnection::Finished() {
  Result last;
  absl::Status error;
  while (true) {
    auto next = Next();
    if (!next.ok()) return next.status();
    if (*next == nullptr) break;
    if (error.ok()) error = ErrorOf(next->get());
    last = *std::move(next);
  }
  if (!error.ok()) return error;
  if (last == nullptr) return Lost("receive");
  return last;
}

}  // namespace forebay
