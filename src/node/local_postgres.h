// A PostgreSQL server of the drill's own, which can be crashed.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "node/child_process.h"
#include "node/local_ports.h"

namespace forebay {

// Listens on loopback only. It syncs what it commits. Confined to one thread, as its process is.
class LocalPostgres {
 public:
  // `folder` must not exist yet. NOT_FOUND: PostgreSQL is not installed.
  static absl::StatusOr<std::unique_ptr<LocalPostgres>> Start(std::string folder, uint16_t port);
  ~LocalPostgres();

  std::string url() const;
  // As pg_ctl stop -m immediate: every connection is gone in the middle of what it did.
  absl::Status Crash();
  // Starts it again; it recovers by itself, and refuses connections until it has.
  absl::Status Restart();

 private:
  LocalPostgres(std::string folder, uint16_t port) : folder_(std::move(folder)), port_(port) {}
  absl::Status Launch();
  absl::Status WaitUntilReady();
  std::string Log() const { return folder_ + ".log"; }

  const std::string folder_;
  const uint16_t port_;
  std::string programs_;  // the folder of initdb and postgres
  std::unique_ptr<ChildProcess> server_;
};

}  // namespace forebay
