// Runs the program as its users do, from a shell.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"

namespace forebay {

struct Ran {
  int code = -1;
  std::string out;  // and what went to stderr
};

// Runs a command line of the shell with `forebay` in it, for "$F".
inline Ran RunShell(const std::string& line) {
  const std::string command = absl::StrCat("F=", FOREBAY_PROGRAM, "; { ", line, "; } 2>&1");
  Ran ran;
  FILE* const pipe = ::popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t got = 0; (got = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    ran.out.append(buffer, got);
  }
  const int status = ::pclose(pipe);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

// Repeats a command until it succeeds, for half a minute.
inline Ran Until(const std::string& line) {
  return RunShell(
      absl::StrCat("for i in $(seq 600); do { ", line, "; } && exit 0; sleep 0.05; done; exit 1"));
}

}  // namespace forebay
