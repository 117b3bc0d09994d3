#include "sinks/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace forebay {
namespace {

absl::Status Error(std::string_view what, const std::string& path) {
  const int error = errno;
  const std::string message = absl::StrCat(View(what), " ", path, ": ", std::strerror(error));
  if (error == EEXIST) return absl::AlreadyExistsError(message);
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(message);
  return absl::UnavailableError(message);
}

// Closes at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

absl::Status WriteAll(const Descriptor& file, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = write(file.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Error("write", path);
    content.remove_prefix(static_cast<size_t>(written));
  }
  return fsync(file.get()) == 0 ? absl::OkStatus() : Error("sync", path);
}

absl::Status SyncFolder(const std::string& path) {
  const Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.ok() || fsync(folder.get()) != 0) return Error("sync", path);
  return absl::OkStatus();
}

}  // namespace

absl::Status Folder::Make() const {
  struct stat found;
  if (stat(path_.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) return absl::OkStatus();
  const size_t slash = path_.find_last_of('/');
  const std::string above = slash == std::string::npos ? "." : path_.substr(0, slash);
  if (slash != 0 && slash != std::string::npos) FOREBAY_RETURN_IF_ERROR(Folder(above).Make());
  if (mkdir(path_.c_str(), 0777) != 0 && errno != EEXIST) return Error("make folder", path_);
  return SyncFolder(slash == 0 ? "/" : above);
}

absl::StatusOr<std::vector<std::string>> Folder::List() const {
  const std::unique_ptr<DIR, CloseFolder> folder(opendir(path_.c_str()));
  if (folder == nullptr) return Error("list", path_);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(folder.get())) names.emplace_back(entry->d_name);
  if (errno != 0) return Error("list", path_);
  return names;
}

absl::StatusOr<std::optional<std::string>> Folder::Read(const std::string& name,
                                                        size_t bytes_max) const {
  const Descriptor file(open(PathOf(name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.ok() && errno == ENOENT) return std::nullopt;
  if (!file.ok()) return Error("open", PathOf(name));
  std::string content(bytes_max, '\0');
  size_t size = 0;
  while (size < bytes_max) {
    const ssize_t got = read(file.get(), content.data() + size, bytes_max - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error("read", PathOf(name));
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  content.resize(size);
  return content;
}

absl::StatusOr<std::string> Folder::WriteTemporary(std::string_view content) const {
  std::string path = PathOf(".tmp-XXXXXX");
  const Descriptor file(mkostemp(path.data(), O_CLOEXEC));
  if (!file.ok()) return Error("create", path);
  absl::Status written =
      fchmod(file.get(), 0644) == 0 ? WriteAll(file, content, path) : Error("chmod", path);
  if (!written.ok()) {
    unlink(path.c_str());  // or the next Open removes it
    return written;
  }
  return path.substr(path_.size() + 1);
}

absl::Status Folder::GiveNewName(const std::string& temporary, const std::string& name) const {
  // link(2), unlike rename(2), never replaces.
  if (link(PathOf(temporary).c_str(), PathOf(name).c_str()) != 0) {
    return Error("create", PathOf(name));
  }
  FOREBAY_RETURN_IF_ERROR(Remove(temporary));
  return Sync();
}

absl::Status Folder::Replace(const std::string& temporary, const std::string& name) const {
  if (rename(PathOf(temporary).c_str(), PathOf(name).c_str()) != 0) {
    return Error("replace", PathOf(name));
  }
  return Sync();
}

absl::Status Folder::Remove(const std::string& name) const {
  if (unlink(PathOf(name).c_str()) != 0 && errno != ENOENT) return Error("remove", PathOf(name));
  return absl::OkStatus();
}

absl::Status Folder::Sync() const { return SyncFolder(path_); }

}  // namespace forebay
