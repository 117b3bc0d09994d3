// Breaks the sink of a drill.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "testbed/local_postgres.h"

namespace forebay {

// Confined to one thread. An error may be of an earlier call.
class SinkBreaker {
 public:
  virtual ~SinkBreaker() = default;
  virtual absl::Status Break() = 0;
  virtual absl::Status Heal() = 0;
};

// Locks an SQLite database for everybody else, as soon as nobody holds it; never waits for that.
std::unique_ptr<SinkBreaker> MakeSqliteBreaker(const std::string& path);
// Crashes a server, which must outlive it, and starts it again.
std::unique_ptr<SinkBreaker> MakePostgresBreaker(LocalPostgres& server);

}  // namespace forebay
