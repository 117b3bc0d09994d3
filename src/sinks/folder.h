// Durable files in a folder: written whole, then given a name that nobody else has taken.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace forebay {

// A folder path; no open descriptors. Errors name the file: RESOURCE_EXHAUSTED when there is no
// room, else UNAVAILABLE.
class Folder {
 public:
  explicit Folder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }

  // Makes the folder and those above it, durably.
  absl::Status Make() const;
  absl::StatusOr<std::vector<std::string>> List() const;
  // The first bytes of a file, at most bytes_max; nothing when there is no such file.
  absl::StatusOr<std::optional<std::string>> Read(const std::string& name, size_t bytes_max) const;
  // Writes and syncs a file under a fresh temporary name (".tmp-..."), which it returns.
  absl::StatusOr<std::string> WriteTemporary(std::string_view content) const;
  // ALREADY_EXISTS when `name` is taken, also by a file that appears at the same moment. After
  // another error it may have the name or not.
  absl::Status GiveNewName(const std::string& temporary, const std::string& name) const;
  // The temporary file becomes `name`, in place of what had that name.
  absl::Status Replace(const std::string& temporary, const std::string& name) const;
  // Missing files are fine.
  absl::Status Remove(const std::string& name) const;
  // Names given and removed are durable after it.
  absl::Status Sync() const;

 private:
  std::string PathOf(const std::string& name) const { return path_ + "/" + name; }

  std::string path_;
};

}  // namespace forebay
