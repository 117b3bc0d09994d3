#include "support/faulty_file_system.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace forebay {
namespace {

using rocksdb::IOStatus;
namespace fs = std::filesystem;

constexpr uint64_t kPage = 4096;

std::string Parent(const std::string& path) { return fs::path(path).parent_path().string(); }

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void WriteAll(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

class FaultyWritableFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultyWritableFile(FaultyFileSystem& system, std::string path,
                     std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), system_(system), path_(std::move(path)) {}

  IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                  rocksdb::IODebugContext* debug) override {
    IOStatus status = system_.BeforeWrite(path_);
    return status.ok() ? FSWritableFileOwnerWrapper::Append(data, options, debug) : status;
  }
  IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                  const rocksdb::DataVerificationInfo&, rocksdb::IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Truncate(uint64_t size, const rocksdb::IOOptions& options,
                    rocksdb::IODebugContext* debug) override {
    IOStatus status = system_.BeforeChange();
    return status.ok() ? FSWritableFileOwnerWrapper::Truncate(size, options, debug) : status;
  }
  IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    IOStatus status = system_.BeforeSync(path_);
    if (status.ok()) status = FSWritableFileOwnerWrapper::Flush(options, debug);
    if (status.ok()) system_.AfterSync(path_);
    return status;
  }
  IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return Sync(options, debug);
  }
  IOStatus RangeSync(uint64_t, uint64_t, const rocksdb::IOOptions&,
                     rocksdb::IODebugContext*) override {
    return IOStatus::OK();  // promises nothing
  }

 private:
  FaultyFileSystem& system_;
  const std::string path_;
};

class FaultyRandomRWFile final : public rocksdb::FSRandomRWFileOwnerWrapper {
 public:
  FaultyRandomRWFile(FaultyFileSystem& system, std::string path,
                     std::unique_ptr<rocksdb::FSRandomRWFile> file)
      : FSRandomRWFileOwnerWrapper(std::move(file)), system_(system), path_(std::move(path)) {}

  IOStatus Write(uint64_t offset, const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                 rocksdb::IODebugContext* debug) override {
    IOStatus status = system_.BeforeWrite(path_);
    if (!status.ok()) return status;
    system_.BeforeOverwrite(path_);
    return FSRandomRWFileOwnerWrapper::Write(offset, data, options, debug);
  }
  IOStatus Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    IOStatus status = system_.BeforeSync(path_);
    if (status.ok()) system_.AfterSync(path_);
    return status;
  }
  IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return Sync(options, debug);
  }

 private:
  FaultyFileSystem& system_;
  const std::string path_;
};

class FaultyDirectory final : public rocksdb::FSDirectoryWrapper {
 public:
  FaultyDirectory(FaultyFileSystem& system, std::string path,
                  std::unique_ptr<rocksdb::FSDirectory> directory)
      : FSDirectoryWrapper(std::move(directory)), system_(system), path_(std::move(path)) {}

  IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    IOStatus status = system_.BeforeChange();
    if (status.ok()) system_.AfterDirectorySync(path_);
    return status;
  }
  IOStatus FsyncWithDirOptions(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug,
                               const rocksdb::DirFsyncOptions&) override {
    return Fsync(options, debug);
  }

 private:
  FaultyFileSystem& system_;
  const std::string path_;
};

}  // namespace

FaultyFileSystem::FaultyFileSystem(std::string trash)
    : FileSystemWrapper(rocksdb::FileSystem::Default()), trash_(std::move(trash)) {
  fs::create_directories(trash_);
}

void FaultyFileSystem::CutPower() {
  MutexLock lock(mutex_);
  power_is_cut_ = true;
  changed_.SignalAll();
}

void FaultyFileSystem::PowerOn(Unsynced unsynced) {
  MutexLock lock(mutex_);
  if (unsynced != Unsynced::kKept) {
    for (const auto& [path, bytes] : before_overwrite_) WriteAll(path, bytes);
  }
  before_overwrite_.clear();
  if (unsynced != Unsynced::kKept) {
    for (const auto& [path, synced] : synced_bytes_) LoseUnsynced(path, synced, unsynced);
    for (; !entries_.empty(); entries_.pop_back()) Undo(entries_.back());
  }
  entries_.clear();
  synced_bytes_.clear();
  power_is_cut_ = false;
}

int FaultyFileSystem::changes() const {
  MutexLock lock(mutex_);
  return changes_;
}

void FaultyFileSystem::FailChange(int n, bool all) {
  MutexLock lock(mutex_);
  fail_at_ = changes_ + n;
  fail_all_after_ = all;
}

void FaultyFileSystem::FailNextLogSync() {
  MutexLock lock(mutex_);
  fail_log_sync_ = true;
}

void FaultyFileSystem::SetNoSpace(bool no_space) {
  MutexLock lock(mutex_);
  no_space_ = no_space;
}

void FaultyFileSystem::SetTablesFail(bool fail) {
  MutexLock lock(mutex_);
  tables_fail_ = fail;
}

void FaultyFileSystem::SetHold(bool hold) {
  MutexLock lock(mutex_);
  hold_ = hold;
  changed_.SignalAll();
}

void FaultyFileSystem::WaitUntilHolding() {
  MutexLock lock(mutex_);
  while (!is_holding_) changed_.Wait(mutex_);
}

void FaultyFileSystem::Heal() {
  MutexLock lock(mutex_);
  fail_at_ = 0;
  fail_log_sync_ = no_space_ = tables_fail_ = hold_ = false;
  changed_.SignalAll();
}

IOStatus FaultyFileSystem::NewWritableFile(const std::string& path,
                                           const rocksdb::FileOptions& options,
                                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                                           rocksdb::IODebugContext* debug) {
  IOStatus status = BeforeChange();
  if (!status.ok()) return status;
  const bool is_new = !fs::exists(path);
  std::unique_ptr<rocksdb::FSWritableFile> made;
  status = target()->NewWritableFile(path, options, &made, debug);
  if (!status.ok()) return status;
  *file = std::make_unique<FaultyWritableFile>(*this, path, std::move(made));
  MutexLock lock(mutex_);
  synced_bytes_[path] = 0;
  if (is_new) Record({Entry::kMade, Parent(path), path, "", std::nullopt});
  return status;
}

IOStatus FaultyFileSystem::ReopenWritableFile(const std::string& path,
                                              const rocksdb::FileOptions& options,
                                              std::unique_ptr<rocksdb::FSWritableFile>* file,
                                              rocksdb::IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSWritableFile> opened;
  IOStatus status = target()->ReopenWritableFile(path, options, &opened, debug);
  if (status.ok()) *file = std::make_unique<FaultyWritableFile>(*this, path, std::move(opened));
  return status;
}

IOStatus FaultyFileSystem::NewRandomRWFile(const std::string& path,
                                           const rocksdb::FileOptions& options,
                                           std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                           rocksdb::IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSRandomRWFile> opened;
  IOStatus status = target()->NewRandomRWFile(path, options, &opened, debug);
  if (status.ok()) *file = std::make_unique<FaultyRandomRWFile>(*this, path, std::move(opened));
  return status;
}

IOStatus FaultyFileSystem::NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                        std::unique_ptr<rocksdb::FSDirectory>* directory,
                                        rocksdb::IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSDirectory> opened;
  IOStatus status = target()->NewDirectory(path, options, &opened, debug);
  if (status.ok()) *directory = std::make_unique<FaultyDirectory>(*this, path, std::move(opened));
  return status;
}

IOStatus FaultyFileSystem::DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                                      rocksdb::IODebugContext* debug) {
  IOStatus status = BeforeChange();
  if (!status.ok()) return status;
  MutexLock lock(mutex_);
  const std::string waits_at = trash_ + "/" + std::to_string(++trashed_);
  status = target()->RenameFile(path, waits_at, options, debug);
  if (status.ok()) {
    MoveState(path, waits_at);
    Record({Entry::kDeleted, Parent(path), path, waits_at, std::nullopt});
  }
  return status;
}

IOStatus FaultyFileSystem::RenameFile(const std::string& from, const std::string& to,
                                      const rocksdb::IOOptions& options,
                                      rocksdb::IODebugContext* debug) {
  IOStatus status = BeforeChange();
  if (!status.ok()) return status;
  std::optional<std::string> overwrote;
  if (fs::is_regular_file(to)) overwrote = ReadAll(to);
  MutexLock lock(mutex_);
  status = target()->RenameFile(from, to, options, debug);
  if (!status.ok()) return status;
  MoveState(from, to);
  Record({Entry::kRenamed, Parent(to), to, from, std::move(overwrote)});
  return status;
}

IOStatus FaultyFileSystem::GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options,
                                        uint64_t* free, rocksdb::IODebugContext* debug) {
  const IOStatus status = target()->GetFreeSpace(path, options, free, debug);
  MutexLock lock(mutex_);
  if (no_space_) *free = 0;
  return status;
}

IOStatus FaultyFileSystem::BeforeWrite(const std::string& path) {
  {
    MutexLock lock(mutex_);
    if (tables_fail_ && path.ends_with(".sst")) return IOStatus::IOError("table told to fail");
    if (no_space_) return IOStatus::NoSpace("no space left on device");
  }
  return BeforeChange();
}

IOStatus FaultyFileSystem::BeforeChange() {
  MutexLock lock(mutex_);
  if (power_is_cut_) return IOStatus::IOError("the power is cut");
  ++changes_;
  if (fail_at_ != 0 && (changes_ == fail_at_ || (fail_all_after_ && changes_ > fail_at_))) {
    return IOStatus::IOError("told to fail");
  }
  return IOStatus::OK();
}

IOStatus FaultyFileSystem::BeforeSync(const std::string& path) {
  if (path.ends_with(".log")) {
    MutexLock lock(mutex_);
    while (hold_ && !power_is_cut_) {
      is_holding_ = true;
      changed_.SignalAll();
      changed_.Wait(mutex_);
    }
    is_holding_ = false;
    if (std::exchange(fail_log_sync_, false)) return IOStatus::IOError("sync told to fail");
  }
  return BeforeChange();
}

void FaultyFileSystem::AfterSync(const std::string& path) {
  MutexLock lock(mutex_);
  if (power_is_cut_) return;
  before_overwrite_.erase(path);
  const auto tracked = synced_bytes_.find(path);
  if (tracked != synced_bytes_.end()) tracked->second = fs::file_size(path);
}

void FaultyFileSystem::BeforeOverwrite(const std::string& path) {
  MutexLock lock(mutex_);
  before_overwrite_.try_emplace(path, ReadAll(path));
}

void FaultyFileSystem::AfterDirectorySync(const std::string& path) {
  const std::string directory = path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
  MutexLock lock(mutex_);
  for (const Entry& entry : entries_) {
    if (entry.directory != directory || entry.kind != Entry::kDeleted) continue;
    fs::remove(entry.from);
    synced_bytes_.erase(entry.from);
  }
  std::erase_if(entries_, [&](const Entry& entry) { return entry.directory == directory; });
}

void FaultyFileSystem::Record(Entry entry) { entries_.push_back(std::move(entry)); }

void FaultyFileSystem::Undo(const Entry& entry) {
  switch (entry.kind) {
    case Entry::kMade:
      fs::remove(entry.path);
      break;
    case Entry::kRenamed:
      if (!fs::exists(entry.path)) break;
      fs::rename(entry.path, entry.from);
      if (entry.overwrote) WriteAll(entry.path, *entry.overwrote);
      break;
    case Entry::kDeleted:
      fs::rename(entry.from, entry.path);
      break;
  }
}

void FaultyFileSystem::MoveState(const std::string& from, const std::string& to) {
  std::map<std::string, uint64_t> moved;
  for (const auto& [path, synced] : synced_bytes_) {
    const bool below = path.starts_with(from + "/");
    moved[path == from ? to : below ? to + path.substr(from.size()) : path] = synced;
  }
  synced_bytes_ = std::move(moved);
}

void FaultyFileSystem::LoseUnsynced(const std::string& path, uint64_t synced,
                                    Unsynced unsynced) const {
  if (!fs::is_regular_file(path)) return;
  const uint64_t size = fs::file_size(path);
  if (size <= synced) return;
  if (unsynced == Unsynced::kGone) return fs::resize_file(path, synced);
  if (unsynced == Unsynced::kHalf) return fs::resize_file(path, synced + (size - synced) / 2);
  const uint64_t first_page = (synced + kPage - 1) / kPage * kPage;
  if (first_page >= size) return fs::resize_file(path, synced);
  fs::resize_file(path, first_page);
  fs::resize_file(path, size);
}

}  // namespace forebay
