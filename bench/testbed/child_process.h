// A child process of the drill or the bench. It dies with its parent.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace forebay {

// Confined to one thread, which must live as long as the children should: the system kills them
// when the thread that started them ends.
class ChildProcess {
 public:
  struct Options {
    std::vector<std::string> command;  // command[0] is a path or a name on $PATH
    std::string log;                   // stdout and stderr are appended to it
    bool talk = false;                 // stdin and stdout are pipes: WriteLine and ReadLine
    int network = -1;                  // a network namespace, or the caller's own
  };
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(Options options);
  // Kills it if it still runs.
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  // False once it has ended.
  bool Running();
  // "exit code 3" or "signal 9", once it has ended.
  std::string HowItEnded() const;
  void Signal(int number);
  // True when it ended within the limit.
  bool WaitForEnd(absl::Duration limit);

  absl::Status WriteLine(const std::string& line);
  // Blocks until a line is there. UNAVAILABLE: the child has closed its output.
  absl::StatusOr<std::string> ReadLine();

 private:
  ChildProcess() = default;

  pid_t pid_ = -1;
  bool ended_ = false;
  int how_ = 0;
  int to_child_ = -1;
  int from_child_ = -1;
  std::string unread_;
};

// Runs a command that ends by itself. UNAVAILABLE: it took more than a minute, or ended otherwise
// than with 0.
absl::Status RunCommand(ChildProcess::Options options);

}  // namespace forebay
