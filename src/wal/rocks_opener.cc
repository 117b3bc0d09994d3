#include "wal/rocks_opener.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "runtime/log.h"
#include "wal/rocks_options.h"
#include "wal/wal_directory.h"
#include "wal/wal_file_check.h"
#include "wal/wal_keys.h"

namespace forebay {
namespace {

// What RocksDB says when a file it needs is damaged or gone, as against a disk that is full or a
// permission that is missing.
absl::Status FromOpening(const rocksdb::Status& status, const std::string& what) {
  if (status.IsPathNotFound() || status.IsNotFound()) {
    return absl::DataLossError(absl::StrCat(what, ": ", status.ToString()));
  }
  return FromRocks(status, what);
}

// Of what opening writes beside the tables: the manifest, the options, a new log.
constexpr uint64_t kSmallFilesBytes = 1 << 20;

class Opener {
 public:
  Opener(const RocksWalOptions& options, std::shared_ptr<rocksdb::FileSystem> files,
         std::shared_ptr<rocksdb::EventListener> listener)
      : options_(options),
        files_(files),
        directory_(files, options.directory),
        listener_(std::move(listener)) {
    opened_.files = std::move(files);
  }

  absl::StatusOr<OpenedWal> Open() {
    FOREBAY_RETURN_IF_ERROR(directory_.Create());
    absl::StatusOr<std::unique_ptr<DirectoryLock>> lock =
        DirectoryLock::Take(files_, directory_.lock_path());
    if (!lock.ok()) return lock.status();
    opened_.lock = *std::move(lock);
    opened_.env = rocksdb::NewCompositeEnv(files_);
    FOREBAY_RETURN_IF_ERROR(directory_.FinishRebuild());
    absl::StatusOr<std::string> note = directory_.ReadNote();
    if (!note.ok()) return note.status();
    damage_ = *std::move(note);
    FOREBAY_RETURN_IF_ERROR(OpenHoweverDamaged());
    FOREBAY_RETURN_IF_ERROR(CheckNode());
    FOREBAY_RETURN_IF_ERROR(CheckMark());
    FOREBAY_RETURN_IF_ERROR(TakeMarker());
    return std::move(opened_);
  }

 private:
  absl::Status OpenHoweverDamaged() {
    absl::Status status = CheckRoot();
    if (status.ok()) status = CheckLogs();
    if (status.ok()) status = CheckRoom();
    if (status.ok()) status = OpenAndLoad();
    if (!absl::IsDataLoss(status)) return status;
    if (damage_.empty()) {
      FOREBAY_RETURN_IF_ERROR(NoteDamage(std::string(status.message())));
      status = OpenAndLoad();
      if (!absl::IsDataLoss(status)) return status;
    }
    // Not even what is whole can be had: start empty, and leave the rest for people to look at.
    Log(LogLevel::kError,
        absl::StrCat("the store in ", options_.directory, " cannot be opened (", status.message(),
                     "); moving it to ", directory_.aside_path(), " and starting empty"));
    Close();
    FOREBAY_RETURN_IF_ERROR(directory_.MoveDbAside());
    return OpenAndLoad();
  }

  // RocksDB would make a new store over the files of the old one.
  absl::Status CheckRoot() {
    const absl::StatusOr<bool> lacks = directory_.DbLacksItsRoot();
    if (!lacks.ok()) return lacks.status();
    if (!*lacks) return absl::OkStatus();
    const std::string reason = "the file CURRENT of the store is missing";
    FOREBAY_RETURN_IF_ERROR(NoteDamage(reason));
    return absl::DataLossError(reason);
  }

  absl::Status CheckLogs() {
    absl::StatusOr<std::vector<std::string>> paths = directory_.LogFiles();
    if (!paths.ok()) return paths.status();
    // An empty log is one that was only created: the last log is the last that holds something.
    std::vector<std::pair<std::string, std::string>> logs;
    for (const std::string& path : *paths) {
      absl::StatusOr<std::string> bytes = directory_.ReadFile(path);
      if (!bytes.ok()) return bytes.status();
      if (!bytes->empty()) logs.emplace_back(path, *std::move(bytes));
    }
    for (size_t i = 0; i < logs.size(); ++i) {
      const auto& [path, bytes] = logs[i];
      WalFileVerdict verdict = CheckWalFile(bytes);
      if (verdict.kind == WalFileVerdict::kWhole) continue;
      if (verdict.kind == WalFileVerdict::kDamaged || i + 1 < logs.size()) {
        return CutAtDamage(logs, i, verdict);
      }
      Log(LogLevel::kInfo,
          absl::StrCat("removing a write that was cut short before it was synced: ", path, ": ",
                       verdict.what));
      return directory_.Truncate(path, verdict.good_end);
    }
    return absl::OkStatus();
  }

  // Opening writes what is in the logs to tables. RocksDB as Debian builds it aborts without a word
  // about the disk when that finds no room.
  absl::Status CheckRoom() {
    absl::StatusOr<std::vector<std::string>> logs = directory_.LogFiles();
    if (!logs.ok()) return logs.status();
    uint64_t needed = kSmallFilesBytes;
    for (const std::string& log : *logs) {
      uint64_t bytes = 0;
      FOREBAY_RETURN_IF_ERROR(
          FromRocks(files_->GetFileSize(log, {}, &bytes, nullptr), "look at " + log));
      needed += bytes;
    }
    uint64_t free = 0;
    if (!files_->GetFreeSpace(options_.directory, {}, &free, nullptr).ok() || free >= needed) {
      return absl::OkStatus();
    }
    return absl::UnavailableError(
        absl::StrCat("the disk of ", options_.directory, " has ", free >> 20,
                     " MiB free, and opening needs ", (needed >> 20) + 1,
                     " MiB: make room, better disk.reserve_bytes, and start the node again"));
  }

  // RocksDB would go on after some kinds of damage; the last good point is before it.
  absl::Status CutAtDamage(const std::vector<std::pair<std::string, std::string>>& logs, size_t bad,
                           const WalFileVerdict& verdict) {
    FOREBAY_RETURN_IF_ERROR(NoteDamage(absl::StrCat(logs[bad].first, ": ", verdict.what)));
    FOREBAY_RETURN_IF_ERROR(directory_.Truncate(logs[bad].first, verdict.good_end));
    for (size_t i = bad + 1; i < logs.size(); ++i) {
      FOREBAY_RETURN_IF_ERROR(directory_.Delete(logs[i].first));
    }
    return absl::OkStatus();
  }

  // DATA_LOSS: damaged.
  absl::Status OpenAndLoad() {
    Close();
    rocksdb::DBOptions rocks_options =
        RocksOptions(opened_.env.get(), options_.memtable_bytes, listener_);
    rocks_options.wal_recovery_mode = damage_.empty()
                                          ? rocksdb::WALRecoveryMode::kAbsoluteConsistency
                                          : rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    // Once damaged, the log files are not all there any more.
    rocks_options.track_and_verify_wals_in_manifest = damage_.empty();
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status = rocksdb::DB::Open(
        rocks_options, directory_.db_path(), RocksFamilies(options_.memtable_bytes), &handles, &db);
    if (!status.ok()) return FromOpening(status, "open " + directory_.db_path());
    opened_.rocks = std::make_unique<RocksHandles>();
    opened_.rocks->db.reset(db);
    opened_.rocks->unused = handles[0];
    opened_.rocks->blocks = handles[1];
    opened_.rocks->index = handles[2];
    opened_.rocks->state = handles[3];
    absl::StatusOr<LoadedWal> loaded = LoadWal(*opened_.rocks);
    if (!loaded.ok()) return loaded.status();
    opened_.loaded = *std::move(loaded);
    return absl::OkStatus();
  }

  absl::Status CheckNode() const {
    const std::optional<WalMarker>& marker = opened_.loaded.marker;
    if (!marker || marker->node == options_.node) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        "the directory ", options_.directory, " belongs to node \"", marker->node.value(),
        "\", not to \"", options_.node.value(), "\": give each node a data directory of its own"));
  }

  // Synced writes that are missing without a trace: a log file that is gone or was cut.
  absl::Status CheckMark() {
    const std::optional<SyncMark::Value> mark = SyncMark::Read(*files_, directory_.mark_path());
    if (!mark && HoldsBytes(directory_.mark_path())) {
      // The log was judged by itself, as after a power cut that took the mark (decision 10).
      opened_.mark_was_damaged = true;
      Log(LogLevel::kWarning,
          absl::StrCat("the file ", directory_.mark_path(),
                       " is damaged and is written again. Check the disk if this happens again"));
    }
    const std::optional<WalMarker>& marker = opened_.loaded.marker;
    if (!damage_.empty() || !marker || !mark || mark->incarnation != marker->incarnation) {
      return absl::OkStatus();
    }
    const uint64_t last = opened_.rocks->db->GetLatestSequenceNumber();
    if (last >= mark->sequence) return absl::OkStatus();
    return NoteDamage(
        absl::StrCat("the log ends at sequence ", last, ", but ", mark->sequence, " was synced"));
  }

  bool HoldsBytes(const std::string& path) const {
    uint64_t size = 0;
    return files_->GetFileSize(path, {}, &size, nullptr).ok() && size > 0;
  }

  absl::Status TakeMarker() {
    const bool is_new = !opened_.loaded.marker || !damage_.empty();
    opened_.marker =
        is_new ? WalMarker{options_.node, options_.new_incarnation} : *opened_.loaded.marker;
    if (is_new) {
      rocksdb::WriteOptions durable;
      durable.sync = true;
      FOREBAY_RETURN_IF_ERROR(
          FromRocks(opened_.rocks->db->Put(durable, opened_.rocks->state,
                                           rocksdb::Slice(kMarkerKey.data(), kMarkerKey.size()),
                                           EncodeMarker(opened_.marker)),
                    "write the marker"));
    }
    absl::StatusOr<std::unique_ptr<SyncMark>> mark =
        SyncMark::Open(*files_, directory_.mark_path());
    if (!mark.ok()) return mark.status();
    opened_.mark = *std::move(mark);
    FOREBAY_RETURN_IF_ERROR(opened_.mark->Write(
        {opened_.marker.incarnation, opened_.rocks->db->GetLatestSequenceNumber()}));
    FOREBAY_RETURN_IF_ERROR(opened_.mark->Sync());
    if (!damage_.empty()) {
      Log(LogLevel::kWarning,
          absl::StrCat("the store in ", options_.directory, " is damaged: ", damage_,
                       ". It takes incarnation ", opened_.marker.incarnation.value(), " with ",
                       opened_.loaded.segments.size(),
                       " segments left; what it held before is restored from its peers. Check the "
                       "disk."));
    }
    return directory_.RemoveNote();
  }

  absl::Status NoteDamage(const std::string& reason) {
    damage_ = reason;
    return directory_.WriteNote(damage_);
  }

  void Close() { opened_.rocks.reset(); }

  const RocksWalOptions& options_;
  const std::shared_ptr<rocksdb::FileSystem> files_;
  const WalDirectory directory_;
  const std::shared_ptr<rocksdb::EventListener> listener_;
  std::string damage_;  // why the content cannot be trusted; empty: it can
  OpenedWal opened_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::Take(
    std::shared_ptr<rocksdb::FileSystem> files, const std::string& path) {
  rocksdb::FileLock* lock = nullptr;
  const rocksdb::IOStatus status = files->LockFile(path, {}, &lock, nullptr);
  if (status.ok()) {
    return std::unique_ptr<DirectoryLock>(new DirectoryLock(std::move(files), lock));
  }
  const std::string text = status.ToString();
  if (absl::StrContains(text, "lock hold by current process") ||
      absl::StrContains(text, "While lock file")) {
    return absl::AlreadyExistsError(
        absl::StrCat("another store, here or in another process, holds ", path,
                     ": stop it, or choose another data directory (", text, ")"));
  }
  return FromRocks(status, "lock " + path);
}

DirectoryLock::~DirectoryLock() {
  // The system drops the lock in any case when the process ends.
  files_->UnlockFile(lock_, {}, nullptr).PermitUncheckedError();
}

absl::StatusOr<OpenedWal> OpenWal(const RocksWalOptions& options,
                                  std::shared_ptr<rocksdb::FileSystem> files,
                                  std::shared_ptr<rocksdb::EventListener> listener) {
  return Opener(options, std::move(files), std::move(listener)).Open();
}

}  // namespace forebay
