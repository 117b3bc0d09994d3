#include "testbed/local_postgres.h"

#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "runtime/pause.h"

namespace forebay {
namespace {

constexpr absl::Duration kStartLimit = absl::Seconds(60);
constexpr char kOwner[] = "postgres";

// The newest version that is installed, or an empty word.
std::string ProgramFolder() {
  std::string newest;
  std::error_code error;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", error)) {
    const std::string folder = version.path().string() + "/bin";
    if (std::filesystem::exists(folder + "/initdb")) newest = std::max(newest, folder);
  }
  return newest;
}

// The server refuses to run as root.
std::vector<std::string> AsOwner(std::vector<std::string> command) {
  if (::geteuid() != 0) return command;
  const std::vector<std::string> prefix = {"setpriv", "--reuid=postgres", "--regid=postgres",
                                           "--init-groups", "--pdeathsig=QUIT"};
  command.insert(command.begin(), prefix.begin(), prefix.end());
  return command;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocalPostgres>> LocalPostgres::Start(std::string folder) {
  std::unique_ptr<LocalPostgres> postgres(new LocalPostgres(std::move(folder)));
  postgres->programs_ = ProgramFolder();
  if (postgres->programs_.empty()) {
    return absl::NotFoundError(
        "no /usr/lib/postgresql/*/bin/initdb here; install Debian's package postgresql, or give "
        "the URL of a database as --sink");
  }
  std::error_code error;
  std::filesystem::create_directories(postgres->folder_, error);
  if (::geteuid() == 0) {
    const passwd* const owner = ::getpwnam(kOwner);
    const std::filesystem::path drill = std::filesystem::path(postgres->folder_).parent_path();
    if (owner == nullptr || ::chown(postgres->folder_.c_str(), owner->pw_uid, owner->pw_gid) != 0) {
      return absl::UnavailableError("cannot hand a folder to the user postgres");
    }
    std::filesystem::permissions(drill, std::filesystem::perms::others_exec,
                                 std::filesystem::perm_options::add, error);
  }
  FOREBAY_RETURN_IF_ERROR(RunCommand(
      {.command = AsOwner({postgres->programs_ + "/initdb", "-D", postgres->folder_ + "/data", "-U",
                           kOwner, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"}),
       .log = postgres->Log()}));
  FOREBAY_RETURN_IF_ERROR(postgres->Launch());
  FOREBAY_RETURN_IF_ERROR(postgres->WaitUntilReady());
  return postgres;
}

LocalPostgres::~LocalPostgres() {
  if (server_) Crash().IgnoreError();
}

std::string LocalPostgres::url() const {
  return absl::StrCat("postgres://postgres@/postgres?host=", folder_);
}

absl::Status LocalPostgres::Launch() {
  auto server = ChildProcess::Start(
      {.command = AsOwner(
           {programs_ + "/postgres", "-D", folder_ + "/data", "-c", "listen_addresses=", "-c",
            absl::StrCat("unix_socket_directories=", folder_), "-c", "max_connections=200"}),
       .log = Log(),
       .talk = false});
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  return absl::OkStatus();
}

absl::Status LocalPostgres::WaitUntilReady() {
  constexpr absl::Duration kStep = absl::Milliseconds(50);
  for (absl::Duration waited; waited < kStartLimit; waited += kStep) {
    if (!server_->Running()) break;
    if (::PQping(url().c_str()) == PQPING_OK) return absl::OkStatus();
    Pause(kStep);
  }
  return absl::UnavailableError("PostgreSQL did not start; see " + Log());
}

absl::Status LocalPostgres::Crash() {
  // Again, as one that has only just been started may miss the signal.
  for (int tries = 0; tries < 10; ++tries) {
    server_->Signal(SIGQUIT);
    if (server_->WaitForEnd(absl::Seconds(1))) return absl::OkStatus();
  }
  return absl::UnavailableError("PostgreSQL does not stop; see " + Log());
}

absl::Status LocalPostgres::Restart() { return Launch(); }

}  // namespace forebay
