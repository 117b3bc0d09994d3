// One connection to PostgreSQL that never waits for ever.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace forebay {

// Rows as text.
struct PostgresRows {
  std::vector<std::vector<std::string>> rows;
  std::string command;  // what the server says it did: "COMMIT", "UPDATE 1"
  uint64_t affected_rows = 0;
};

// Not thread-safe. Errors never hold the URL. Codes: INVALID_ARGUMENT: the data can never be
// stored (SQLSTATE classes 22, 23, 54, P0001). INTERNAL: a primary key is taken. DEADLINE_EXCEEDED,
// UNAVAILABLE, RESOURCE_EXHAUSTED: the outcome of the statement is unknown, or it failed and may
// succeed later.
class PostgresConnection {
 public:
  // `timeout` bounds a statement on the server, and silence of the server here.
  static absl::StatusOr<std::unique_ptr<PostgresConnection>> Connect(const std::string& url,
                                                                     absl::Duration timeout);

  absl::StatusOr<PostgresRows> Run(const std::string& sql,
                                   const std::vector<std::string>& parameters = {});
  // "COPY ... FROM STDIN", with its data in text format: pieces of it, until one is empty. The
  // server takes in one while the next is made.
  absl::Status Copy(const std::string& sql, absl::FunctionRef<std::string_view()> next_piece);
  // Leaves a transaction that is open; false when the connection is of no use any more.
  bool RollBack();

 private:
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  using Result = std::unique_ptr<PGresult, Clear>;

  PostgresConnection(PGconn* connection, absl::Duration timeout)
      : connection_(connection), timeout_(timeout) {}

  // Of the connection, or of a statement.
  absl::Status Lost(std::string_view what) const;
  static absl::Status ErrorOf(const PGresult* result);
  // Waits until the socket can be read, or written if `to_write`, and takes what came in.
  absl::Status WaitForServer(bool to_write);
  absl::Status Flush();
  // The next result of a statement; nullptr after the last.
  absl::StatusOr<Result> Next();
  // The results up to the end; the first error, or else the last result.
  absl::StatusOr<Result> Finished();

  std::unique_ptr<PGconn, Finish> connection_;
  const absl::Duration timeout_;
};

}  // namespace forebay
