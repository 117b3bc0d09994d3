#include "wal/wal_scrub.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "rocksdb/db.h"
#include "rocksdb/options.h"
#include "runtime/log.h"
#include "wal/rocks_options.h"
#include "wal/sync_mark.h"
#include "wal/table_checksum.h"
#include "wal/wal_file_check.h"

namespace forebay {
namespace {

// The sync mark may be in the middle of being written when it is read.
constexpr int kMarkTries = 5;
constexpr size_t kReadBytes = 256 << 10;

}  // namespace

WalScrub::WalScrub(std::shared_ptr<rocksdb::FileSystem> files, const WalDirectory& directory,
                   const RocksHandles& rocks)
    : files_(std::move(files)), directory_(directory), rocks_(rocks) {
  std::vector<std::string> live;
  uint64_t manifest_bytes = 0;
  if (!rocks_.db->GetLiveFiles(live, &manifest_bytes, /*flush_memtable=*/false).ok()) return;
  for (const std::string& name : live) {
    if (!name.starts_with("/OPTIONS")) continue;
    auto bytes = directory_.ReadFile(directory_.db_path() + name);
    if (bytes.ok()) options_files_[directory_.db_path() + name] = *std::move(bytes);
  }
}

WalScrub::Found WalScrub::Step(size_t bytes_max) {
  Found found;
  if (!std::exchange(in_pass_, true)) Begin();
  while (!items_.empty() && found.bytes < bytes_max) {
    const Item item = items_.front();
    if (item.kind == Kind::kMark) CheckMark(found);
    if (item.kind == Kind::kManifest) CheckManifest(item, found);
    if (item.kind == Kind::kSmall) CheckSmall(item, found);
    if (item.kind == Kind::kLog) CheckLog(item, found);
    const bool done = item.kind != Kind::kTable || CheckTable(item, bytes_max, found);
    if (done) items_.pop_front();
  }
  found.pass_done = items_.empty();
  if (found.pass_done) in_pass_ = false;
  return found;
}

void WalScrub::Begin() {
  const std::string& db = directory_.db_path();
  items_.push_back({Kind::kMark, directory_.mark_path(), ""});
  std::vector<std::string> live;
  uint64_t manifest_bytes = 0;
  if (rocks_.db->GetLiveFiles(live, &manifest_bytes, /*flush_memtable=*/false).ok()) {
    for (const std::string& name : live) {
      if (!name.starts_with("/MANIFEST")) continue;
      items_.push_back({Kind::kSmall, db + "/CURRENT", name.substr(1) + "\n"});
      items_.push_back({Kind::kManifest, db + name, ""});
    }
  }
  std::string identity;
  if (rocks_.db->GetDbIdentity(identity).ok()) {
    items_.push_back({Kind::kSmall, db + "/IDENTITY", identity});
  }
  for (const auto& [path, bytes] : options_files_) items_.push_back({Kind::kSmall, path, bytes});
  const auto logs = directory_.LogFiles();
  for (const std::string& path : logs.ok() ? *logs : std::vector<std::string>()) {
    if (IsNeeded(path)) items_.push_back({Kind::kLog, path, ""});
  }
  ListTables();
}

void WalScrub::ListTables() {
  std::vector<rocksdb::LiveFileMetaData> tables;
  rocks_.db->GetLiveFilesMetaData(&tables);
  std::set<std::string> live;
  for (const rocksdb::LiveFileMetaData& table : tables) {
    const std::string path = table.db_path + table.name;
    live.insert(path);
    // Tables of a version that did not write a checksum of the whole are covered by reads only,
    // until they are compacted.
    if (table.file_checksum_func_name == rocksdb::kUnknownFileChecksumFuncName) continue;
    items_.push_back({Kind::kTable, path, table.file_checksum});
  }
  std::erase_if(known_damaged_, [&](const std::string& path) {
    return path.ends_with(".sst") && !live.contains(path);
  });
}

void WalScrub::Damaged(const std::string& path, const std::string& what, Found& found) {
  if (!known_damaged_.insert(path).second) return;
  found.damaged++;
  Log(LogLevel::kWarning, absl::StrCat("the file ", path, " is damaged: ", what,
                                       ". Check the disk if this happens again"));
}

void WalScrub::Repaired(const std::string& path, const absl::Status& status, Found& found) {
  if (status.ok()) {
    if (known_damaged_.erase(path) > 0) found.repaired++;
    Log(LogLevel::kInfo, absl::StrCat("the damaged file ", path, " was written again"));
  } else {
    Log(LogLevel::kError,
        absl::StrCat("the damaged file ", path, " could not be written again: ", status.message()));
  }
}

void WalScrub::CheckMark(Found& found) {
  for (int i = 0; i < kMarkTries; ++i) {
    if (SyncMark::Read(*files_, directory_.mark_path()).has_value()) {
      if (known_damaged_.erase(directory_.mark_path()) > 0) found.repaired++;
      return;
    }
  }
  Damaged(directory_.mark_path(), "its checksum is wrong", found);
  found.mark_damaged = true;
}

void WalScrub::CheckManifest(const Item& item, Found& found) {
  WalFileVerdict verdict;
  for (int i = 0; i < 2; ++i) {
    const auto bytes = directory_.ReadFile(item.path);
    if (!bytes.ok()) return;  // it was just followed by another
    found.bytes += bytes->size();
    verdict = CheckManifestFile(*bytes);
    if (verdict.kind != WalFileVerdict::kDamaged) return;
  }
  Damaged(item.path, verdict.what, found);
  found.rebuild = absl::StrCat("the manifest is damaged: ", verdict.what);
}

void WalScrub::CheckSmall(const Item& item, Found& found) {
  auto bytes = directory_.ReadFile(item.path);
  found.bytes += item.expected.size();
  if (bytes.ok() && bytes->starts_with(item.expected) &&
      bytes->size() <= item.expected.size() + 1) {
    return;
  }
  if (!files_->FileExists(item.path, {}, nullptr).ok() && item.path.ends_with("IDENTITY")) return;
  if (item.path.ends_with("CURRENT")) {  // it may just have been followed by another
    std::vector<std::string> live;
    uint64_t size = 0;
    if (!rocks_.db->GetLiveFiles(live, &size, /*flush_memtable=*/false).ok()) return;
    for (const std::string& name : live) {
      if (name.starts_with("/MANIFEST") && name.substr(1) + "\n" != item.expected) return;
    }
  }
  Damaged(item.path, "it is not what was written", found);
  Repaired(item.path, Rewrite(item.path, item.expected), found);
}

// What the log holds is in memory too, until it is in tables.
void WalScrub::CheckLog(const Item& item, Found& found) {
  WalFileVerdict verdict;
  for (int i = 0; i < 2; ++i) {
    const auto bytes = directory_.ReadFile(item.path);
    if (!bytes.ok()) return;  // it has become needless meanwhile
    found.bytes += bytes->size();
    verdict = CheckWalFile(*bytes);
    if (verdict.kind != WalFileVerdict::kDamaged || !IsNeeded(item.path)) return;
  }
  Damaged(item.path, verdict.what, found);
  Repaired(item.path, MakeNeedless(item.path), found);
}

bool WalScrub::IsNeeded(const std::string& log) const {
  uint64_t number = 0;
  uint64_t first_needed = 0;
  const std::string name = log.substr(log.rfind('/') + 1);
  return !absl::SimpleAtoi(name.substr(0, name.find('.')), &number) ||
         !rocks_.db->GetIntProperty(rocksdb::DB::Properties::kMinLogNumberToKeep, &first_needed) ||
         number >= first_needed;
}

absl::Status WalScrub::MakeNeedless(const std::string& log) const {
  rocksdb::FlushOptions options;
  options.allow_write_stall = true;
  FOREBAY_RETURN_IF_ERROR(
      FromRocks(rocks_.db->Flush(options, {rocks_.blocks, rocks_.index, rocks_.state}),
                "flush what the log holds"));
  if (IsNeeded(log)) return absl::InternalError("it is still needed after a flush");
  // RocksDB takes its time, and an opening after a crash would trip over it.
  files_->DeleteFile(log, {}, nullptr).PermitUncheckedError();
  return absl::OkStatus();
}

bool WalScrub::CheckTable(const Item& item, size_t bytes_max, Found& found) {
  if (table_ == nullptr) {
    offset_ = 0;
    if (!files_->NewRandomAccessFile(item.path, {}, &table_, nullptr).ok()) {
      OnBadTable(item, found);
      return true;
    }
    checksum_ = TableChecksumFactory()->CreateFileChecksumGenerator({});
  }
  std::string scratch(kReadBytes, '\0');
  while (found.bytes < bytes_max) {
    rocksdb::Slice read;
    const rocksdb::IOStatus status =
        table_->Read(offset_, scratch.size(), {}, &read, scratch.data(), nullptr);
    if (status.ok() && !read.empty()) {
      checksum_->Update(read.data(), read.size());
      offset_ += read.size();
      found.bytes += read.size();
      continue;
    }
    checksum_->Finalize();
    if (!status.ok() || checksum_->GetChecksum() != item.expected) OnBadTable(item, found);
    table_.reset();
    return true;
  }
  return false;
}

void WalScrub::OnBadTable(const Item& item, Found& found) {
  std::vector<rocksdb::LiveFileMetaData> tables;
  rocks_.db->GetLiveFilesMetaData(&tables);
  for (const rocksdb::LiveFileMetaData& table : tables) {
    if (table.db_path + table.name != item.path) continue;
    Damaged(item.path, absl::StrCat("its checksum is wrong (", table.column_family_name, ")"),
            found);
    found.rebuild = absl::StrCat("the table ", item.path, " is damaged");
    return;
  }
}

absl::Status WalScrub::Rewrite(const std::string& path, const std::string& bytes) const {
  const std::string fresh = path + ".dbtmp";  // RocksDB removes what is left over
  std::unique_ptr<rocksdb::FSWritableFile> file;
  rocksdb::IOStatus status = files_->NewWritableFile(fresh, {}, &file, nullptr);
  if (status.ok()) status = file->Append(bytes, {}, nullptr);
  if (status.ok()) status = file->Fsync({}, nullptr);
  if (status.ok()) status = file->Close({}, nullptr);
  if (status.ok()) status = files_->RenameFile(fresh, path, {}, nullptr);
  std::unique_ptr<rocksdb::FSDirectory> folder;
  if (status.ok()) status = files_->NewDirectory(directory_.db_path(), {}, &folder, nullptr);
  if (status.ok()) status = folder->Fsync({}, nullptr);
  return FromRocks(status, "write " + path);
}

}  // namespace forebay
