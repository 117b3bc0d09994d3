#include "cli/programs.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "node/exit_code.h"

namespace forebay {
namespace {

bool CanRun(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

absl::StatusOr<std::string> FindProgram(const std::string& name) {
  std::error_code error;
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path beside = own.parent_path();
  const std::filesystem::path prefix = beside.parent_path();
  for (const auto& folder :
       {beside, prefix / "libexec" / "forebay", prefix.parent_path() / "bin"}) {
    if (CanRun(folder / name)) return (folder / name).string();
  }
  const char* const path = std::getenv("PATH");
  for (const absl::string_view folder : absl::StrSplit(path == nullptr ? "" : path, ':')) {
    const std::filesystem::path candidate = std::filesystem::path(std::string(folder)) / name;
    if (!folder.empty() && CanRun(candidate)) return candidate.string();
  }
  return absl::UnavailableError(absl::StrCat("there is no program ", name, " in ", beside.string(),
                                             ", in ", (prefix / "libexec" / "forebay").string(),
                                             " or in $PATH"));
}

int RunPart(const std::string& name, char** arguments) {
  const absl::StatusOr<std::string> program = FindProgram("forebay-" + name);
  if (!program.ok()) {
    return Fail(absl::UnavailableError(
        absl::StrCat("'", name, "' is not installed: ", program.status().message(),
                     ". Install it beside forebay (the build makes both)")));
  }
  ::execv(program->c_str(), arguments);
  return Fail(absl::UnavailableError(absl::StrCat("run ", *program, ": ", std::strerror(errno))));
}

}  // namespace forebay
