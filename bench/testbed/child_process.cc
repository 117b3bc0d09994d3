#include "testbed/child_process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/pause.h"

namespace forebay {
namespace {

absl::Status SystemError(const std::string& what) {
  return absl::InternalError(absl::StrCat(what, ": ", std::strerror(errno)));
}

struct Ends {
  int in = -1;   // becomes the child's stdin
  int out = -1;  // stdout
  int log = -1;  // stderr
  int network = -1;
};

// Runs in the child between fork and exec: only calls that are safe there.
[[noreturn]] void Become(char* const* command, const Ends& ends, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before the line above
  // Ctrl-C is for the parent, which then stops its children in order.
  ::setpgid(0, 0);
  // A shell's background job ignores these, and what is ignored stays so in the new program.
  for (const int number : {SIGINT, SIGQUIT}) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (ends.network >= 0 && ::setns(ends.network, CLONE_NEWNET) != 0) ::_exit(127);
  ::dup2(ends.in, 0);
  ::dup2(ends.out, 1);
  ::dup2(ends.log, 2);
  ::close_range(3, ~0u, 0);
  ::execvp(command[0], command);
  ::_exit(127);
}

void CloseAll(std::initializer_list<int> files) {
  for (const int file : files) {
    if (file >= 0) ::close(file);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(Options options) {
  const int log = ::open(options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return SystemError(absl::StrCat("open ", options.log));
  int in[2] = {::open("/dev/null", O_RDONLY | O_CLOEXEC), -1};
  int out[2] = {-1, log};
  if (options.talk) {
    ::close(in[0]);
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) return SystemError("pipe");
  }
  std::vector<char*> command;
  for (std::string& word : options.command) command.push_back(word.data());
  command.push_back(nullptr);

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    Become(command.data(), {.in = in[0], .out = out[1], .log = log, .network = options.network},
           parent);
  }
  const absl::Status failed = pid < 0 ? SystemError("fork") : absl::OkStatus();
  CloseAll({in[0], options.talk ? out[1] : -1, log});
  if (!failed.ok()) {
    CloseAll({in[1], out[0]});
    return failed;
  }
  std::unique_ptr<ChildProcess> child(new ChildProcess());
  child->pid_ = pid;
  child->to_child_ = in[1];
  child->from_child_ = out[0];
  return child;
}

ChildProcess::~ChildProcess() {
  if (Running()) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &how_, 0);
  }
  CloseAll({to_child_, from_child_});
}

bool ChildProcess::Running() {
  if (!ended_ && ::waitpid(pid_, &how_, WNOHANG) == pid_) ended_ = true;
  return !ended_;
}

std::string ChildProcess::HowItEnded() const {
  if (WIFSIGNALED(how_)) return absl::StrCat("signal ", WTERMSIG(how_));
  return absl::StrCat("exit code ", WEXITSTATUS(how_));
}

void ChildProcess::Signal(int number) {
  if (Running()) ::kill(pid_, number);
}

bool ChildProcess::WaitForEnd(absl::Duration limit) {
  constexpr absl::Duration kStep = absl::Milliseconds(5);
  for (absl::Duration waited; Running(); waited += kStep) {
    if (waited >= limit) return false;
    Pause(kStep);
  }
  return true;
}

absl::Status ChildProcess::WriteLine(const std::string& line) {
  const std::string text = line + "\n";
  for (size_t at = 0; at < text.size();) {
    const ssize_t written = ::write(to_child_, text.data() + at, text.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError("write to child process");
    at += static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ChildProcess::ReadLine() {
  while (true) {
    const size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    char buffer[4096];
    const ssize_t got = ::read(from_child_, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return absl::UnavailableError("the child process has closed its output");
    unread_.append(buffer, static_cast<size_t>(got));
  }
}

absl::Status RunCommand(ChildProcess::Options options) {
  constexpr absl::Duration kLimit = absl::Seconds(60);
  const std::string name = absl::StrJoin(options.command, " ");
  const std::string log = options.log;
  auto child = ChildProcess::Start(std::move(options));
  if (!child.ok()) return child.status();
  if (!(*child)->WaitForEnd(kLimit)) return absl::UnavailableError(name + " does not end");
  const std::string end = (*child)->HowItEnded();
  if (end == "exit code 0") return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(name, " ended with ", end,
                                             end == "exit code 127" ? " (is it installed?)" : "",
                                             "; its log is ", log));
}

}  // namespace forebay
