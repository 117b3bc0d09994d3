// A PostgreSQL server of the drill's own, which can be crashed.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "testbed/child_process.h"

namespace forebay {

// It syncs what it commits. Confined to one thread, as its process is.
class LocalPostgres {
 public:
  // `folder` must not exist yet. NOT_FOUND: PostgreSQL is not installed.
  static absl::StatusOr<std::unique_ptr<LocalPostgres>> Start(std::string folder);
  ~LocalPostgres();

  // A socket in the folder, which is reached from every network namespace.
  std::string url() const;
  // As pg_ctl stop -m immediate: every connection is gone in the middle of what it did.
  absl::Status Crash();
  // Starts it again; it recovers by itself, and refuses connections until it has.
  absl::Status Restart();

 private:
  explicit LocalPostgres(std::string folder) : folder_(std::move(folder)) {}
  absl::Status Launch();
  absl::Status WaitUntilReady();
  std::string Log() const { return folder_ + ".log"; }

  const std::string folder_;
  std::string programs_;  // the folder of initdb and postgres
  std::unique_ptr<ChildProcess> server_;
};

}  // namespace forebay
