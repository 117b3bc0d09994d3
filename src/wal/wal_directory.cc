#include "wal/wal_directory.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "wal/rocks_options.h"

namespace forebay {

absl::Status WalDirectory::Create() const {
  for (size_t at = path_.find('/', 1);; at = path_.find('/', at + 1)) {
    const std::string above = path_.substr(0, at);
    const rocksdb::IOStatus status = files_->CreateDirIfMissing(above, {}, nullptr);
    if (!status.ok()) return FromRocks(status, "create the directory " + above);
    if (at == std::string::npos) return absl::OkStatus();
  }
}

absl::StatusOr<std::string> WalDirectory::ReadNote() const {
  const rocksdb::IOStatus exists = files_->FileExists(note_path(), {}, nullptr);
  if (exists.IsNotFound()) return std::string();
  if (!exists.ok()) return FromRocks(exists, "look for " + note_path());
  absl::StatusOr<std::string> note = ReadFile(note_path());
  // That it is there is what counts.
  if (!note.ok() || note->empty()) return std::string("damage that an earlier opening found");
  return note;
}

absl::Status WalDirectory::WriteNote(const std::string& reason) const {
  return WriteFile(note_path(), reason);
}

absl::Status WalDirectory::WriteFile(const std::string& path, const std::string& bytes) const {
  const std::string what = "write " + path;
  std::unique_ptr<rocksdb::FSWritableFile> file;
  FOREBAY_RETURN_IF_ERROR(FromRocks(files_->NewWritableFile(path, {}, &file, nullptr), what));
  rocksdb::IOStatus status = file->Append(bytes, {}, nullptr);
  if (status.ok()) status = file->Fsync({}, nullptr);
  if (status.ok()) status = file->Close({}, nullptr);
  FOREBAY_RETURN_IF_ERROR(FromRocks(status, what));
  return SyncDirectory();
}

absl::Status WalDirectory::RemoveNote() const {
  if (files_->FileExists(note_path(), {}, nullptr).IsNotFound()) return absl::OkStatus();
  FOREBAY_RETURN_IF_ERROR(Delete(note_path()));
  return SyncDirectory();
}

absl::StatusOr<std::vector<std::string>> WalDirectory::LogFiles() const {
  absl::StatusOr<std::vector<std::string>> names = Children(db_path());
  if (!names.ok()) return names.status();
  std::vector<std::pair<uint64_t, std::string>> numbered;
  for (const std::string& name : *names) {
    uint64_t number = 0;
    if (absl::EndsWith(name, ".log") &&
        absl::SimpleAtoi(name.substr(0, name.size() - 4), &number)) {
      numbered.emplace_back(number, absl::StrCat(db_path(), "/", name));
    }
  }
  std::sort(numbered.begin(), numbered.end());
  std::vector<std::string> paths;
  for (auto& [number, path] : numbered) paths.push_back(std::move(path));
  return paths;
}

absl::StatusOr<bool> WalDirectory::DbLacksItsRoot() const {
  absl::StatusOr<std::vector<std::string>> names = Children(db_path());
  if (!names.ok()) return names.status();
  bool has_root = false;
  bool has_data = false;
  for (const std::string& name : *names) {
    has_root |= name == "CURRENT";
    // A manifest alone is what a first opening leaves that was cut short.
    has_data |= absl::EndsWith(name, ".sst") || absl::EndsWith(name, ".log");
  }
  return has_data && !has_root;
}

absl::StatusOr<std::string> WalDirectory::ReadFile(const std::string& path) const {
  uint64_t size = 0;
  std::unique_ptr<rocksdb::FSSequentialFile> file;
  rocksdb::IOStatus status = files_->GetFileSize(path, {}, &size, nullptr);
  if (status.ok()) status = files_->NewSequentialFile(path, {}, &file, nullptr);
  std::string bytes(size, '\0');
  size_t got = 0;
  while (status.ok() && got < size) {
    rocksdb::Slice read;
    status = file->Read(size - got, {}, &read, bytes.data() + got, nullptr);
    if (read.empty()) break;
    if (read.data() != bytes.data() + got) std::copy_n(read.data(), read.size(), &bytes[got]);
    got += read.size();
  }
  if (!status.ok())
    return absl::DataLossError(absl::StrCat("read ", path, ": ", status.ToString()));
  bytes.resize(got);
  return bytes;
}

absl::Status WalDirectory::Truncate(const std::string& path, uint64_t size) const {
  std::unique_ptr<rocksdb::FSWritableFile> file;
  rocksdb::IOStatus status = files_->ReopenWritableFile(path, {}, &file, nullptr);
  if (status.ok()) status = file->Truncate(size, {}, nullptr);
  if (status.ok()) status = file->Fsync({}, nullptr);
  if (status.ok()) status = file->Close({}, nullptr);
  return FromRocks(status, absl::StrCat("truncate ", path, " to ", size, " bytes"));
}

absl::Status WalDirectory::Delete(const std::string& path) const {
  return FromRocks(files_->DeleteFile(path, {}, nullptr), "delete " + path);
}

absl::Status WalDirectory::RemoveFolder(const std::string& path) const {
  absl::StatusOr<std::vector<std::string>> old = Children(path);
  if (!old.ok()) return old.status();
  for (const std::string& name : *old) {
    FOREBAY_RETURN_IF_ERROR(Delete(absl::StrCat(path, "/", name)));
  }
  if (!files_->FileExists(path, {}, nullptr).ok()) return absl::OkStatus();
  return FromRocks(files_->DeleteDir(path, {}, nullptr), "delete " + path);
}

absl::Status WalDirectory::MoveDbAside() const {
  FOREBAY_RETURN_IF_ERROR(RemoveFolder(aside_path()));
  FOREBAY_RETURN_IF_ERROR(FromRocks(files_->RenameFile(db_path(), aside_path(), {}, nullptr),
                                    "move " + db_path() + " to " + aside_path()));
  return SyncDirectory();
}

absl::Status WalDirectory::RemoveRebuilt() const { return RemoveFolder(rebuilt_path()); }

absl::Status WalDirectory::NoteRebuilt(const std::string& reason) const {
  return WriteFile(rebuilt_note_path(), reason);
}

absl::Status WalDirectory::FinishRebuild() const {
  // Without the note it is not complete.
  if (!files_->FileExists(rebuilt_note_path(), {}, nullptr).ok()) return RemoveRebuilt();
  if (files_->FileExists(rebuilt_path(), {}, nullptr).ok()) {
    if (files_->FileExists(db_path(), {}, nullptr).ok()) FOREBAY_RETURN_IF_ERROR(MoveDbAside());
    FOREBAY_RETURN_IF_ERROR(FromRocks(files_->RenameFile(rebuilt_path(), db_path(), {}, nullptr),
                                      "move " + rebuilt_path() + " to " + db_path()));
    FOREBAY_RETURN_IF_ERROR(SyncDirectory());
  }
  // It counts the writes of the old one.
  if (files_->FileExists(mark_path(), {}, nullptr).ok()) {
    FOREBAY_RETURN_IF_ERROR(Delete(mark_path()));
  }
  FOREBAY_RETURN_IF_ERROR(Delete(rebuilt_note_path()));
  return SyncDirectory();
}

absl::Status WalDirectory::SyncDirectory() const {
  std::unique_ptr<rocksdb::FSDirectory> directory;
  rocksdb::IOStatus status = files_->NewDirectory(path_, {}, &directory, nullptr);
  if (status.ok()) status = directory->Fsync({}, nullptr);
  if (status.ok()) status = directory->Close({}, nullptr);
  return FromRocks(status, "sync the directory " + path_);
}

absl::StatusOr<std::vector<std::string>> WalDirectory::Children(const std::string& path) const {
  std::vector<std::string> names;
  const rocksdb::IOStatus status = files_->GetChildren(path, {}, &names, nullptr);
  if (status.IsNotFound() || status.IsPathNotFound()) return std::vector<std::string>();
  if (!status.ok()) return FromRocks(status, "list " + path);
  std::erase_if(names, [](const std::string& name) { return name == "." || name == ".."; });
  return names;
}

}  // namespace forebay
